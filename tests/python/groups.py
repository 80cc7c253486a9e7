"""Producers and consumers that behave well or badly, until they are killed.

  groups.py produce BOOTSTRAP RATE TOPIC...             RATE records a second into each topic: {"line": 0}, {"line": 1}, …
  groups.py consume BOOTSTRAP TOPIC GROUP BEHIND [GROWTH [MOST]]
                                                        reads each record once it is BEHIND seconds old, and commits it;
                                                        BEHIND grows by GROWTH in each second, up to MOST
  groups.py crawl BOOTSTRAP TOPIC GROUP RATE            reads RATE records a second, whatever comes, and commits each
  groups.py hold BOOTSTRAP TOPIC GROUP                  a member that reads and never commits
  groups.py storm BOOTSTRAP TOPIC GROUP                 members that join and leave
  groups.py fill BOOTSTRAP RATE BYTES TOPIC             RATE records of so many BYTES a second, refused or not
  groups.py fail BOOTSTRAP RATE EVERY WHOLE BROKEN      RATE requests a second with a record for WHOLE, but one in EVERY for BROKEN
  groups.py odd BOOTSTRAP RATE TOPIC                    RATE records a second whose time is none
  groups.py many                                        reads lines such as `hold BOOTSTRAP TOPIC GROUP`, until there are no
                                                        more: each is a thread, and all end when one fails
"""
import json
import os
import sys
import threading
import time
import traceback

from confluent_kafka import Consumer, Producer


def beat(rate):
    """0, 1, …: RATE of them a second. What was missed is made up for."""
    began, number = time.time(), 0
    while True:
        yield number
        number += 1
        time.sleep(max(0, began + number / float(rate) - time.time()))


def produce(bootstrap, rate, *topics):
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
    for number in beat(rate):
        for topic in topics:
            producer.produce(topic, json.dumps({"line": number}), partition=0)
        producer.poll(0)


def fill(bootstrap, rate, size, topic):
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0, "message.timeout.ms": 1000})
    for _ in beat(rate):
        producer.produce(topic, bytes(int(size)), partition=0)
        producer.poll(0)


def fail(bootstrap, rate, every, whole, broken):
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0, "retries": 0})
    for number in beat(rate):
        producer.produce(whole if number % int(every) else broken, b"x", partition=0)
        # One at a time: each is a request of its own.
        producer.flush()


def odd(bootstrap, rate, topic):
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
    for _ in beat(rate):
        producer.produce(topic, json.dumps({"@timestamp": "yesterday"}), partition=0)
        producer.poll(0)


def member(bootstrap, topic, group):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False,
                         "auto.offset.reset": "earliest", "heartbeat.interval.ms": 200})
    consumer.subscribe([topic])
    return consumer


def consume(bootstrap, topic, group, behind, growth=0, most="inf"):
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


def in_a_thread(words):
    try:
        PROGRAMS[words[0]](*words[1:])
    except Exception:
        print(*words, file=sys.stderr)
        traceback.print_exc()
        os._exit(1)


def many():
    for line in sys.stdin:
        threading.Thread(target=in_a_thread, args=(line.split(),), daemon=True).start()
    # Clients need not say goodbye.
    os._exit(0)


PROGRAMS = {"produce": produce, "consume": consume, "crawl": crawl, "hold": hold, "storm": storm, "fill": fill, "fail": fail,
            "odd": odd, "many": many}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
