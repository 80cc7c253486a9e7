"""Producers and consumers that behave well or badly, until they are killed.

  groups.py produce BOOTSTRAP RATE TOPIC...             RATE records a second into each topic: {"line": 0}, {"line": 1}, …
  groups.py consume BOOTSTRAP TOPIC GROUP BEHIND GROWTH [MOST]
                                                        reads each record once it is BEHIND seconds old, and commits it;
                                                        BEHIND grows by GROWTH in each second, up to MOST
  groups.py crawl BOOTSTRAP TOPIC GROUP RATE            reads RATE records a second, whatever comes, and commits each
  groups.py hold BOOTSTRAP TOPIC GROUP                  a member that reads and never commits
  groups.py storm BOOTSTRAP TOPIC GROUP                 members that join and leave
"""
import json
import sys
import time

from confluent_kafka import Consumer, Producer


def produce(bootstrap, rate, *topics):
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
    began, number = time.time(), 0
    while True:
        for topic in topics:
            producer.produce(topic, json.dumps({"line": number}), partition=0)
        number += 1
        producer.poll(max(0, began + number / float(rate) - time.time()))
        time.sleep(max(0, began + number / float(rate) - time.time()))


def member(bootstrap, topic, group):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False,
                         "auto.offset.reset": "earliest", "heartbeat.interval.ms": 200})
    consumer.subscribe([topic])
    return consumer


def consume(bootstrap, topic, group, behind, growth, most="inf"):
    consumer, began = member(bootstrap, topic, group), time.time()
    while True:
        record = consumer.poll(1)
        if record is None or record.error():
            continue
        wanted = min(float(behind) + float(growth) * (time.time() - began), float(most))
        time.sleep(max(0, record.timestamp()[1] / 1000 + wanted - time.time()))
        consumer.commit(record)


def crawl(bootstrap, topic, group, rate):
    consumer = member(bootstrap, topic, group)
    while True:
        record = consumer.poll(1)
        if record is not None and not record.error():
            consumer.commit(record)
            time.sleep(1 / float(rate))


def hold(bootstrap, topic, group):
    consumer = member(bootstrap, topic, group)
    while True:
        consumer.poll(1)


def storm(bootstrap, topic, group):
    while True:
        consumer = member(bootstrap, topic, group)
        deadline = time.time() + 5
        while not consumer.assignment() and time.time() < deadline:
            consumer.poll(0.05)
        consumer.close()


if __name__ == "__main__":
    {"produce": produce, "consume": consume, "crawl": crawl, "hold": hold, "storm": storm}[sys.argv[1]](*sys.argv[2:])
