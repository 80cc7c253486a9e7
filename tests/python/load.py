"""A load that knows what was acknowledged.

  load.py BOOTSTRAP TOPIC FILE SECONDS    sends numbered records with an idempotent producer for SECONDS, through
                                          broker restarts, and writes each acknowledged number to FILE
  load.py --read BOOTSTRAP TOPIC          prints every number in the topic, in order of partition and offset
"""
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

IN_FLIGHT_MAX = 2000


def send(bootstrap, topic, file, seconds):
    acknowledged = open(file, "w", buffering=1)
    waiting = set()

    def delivered(number):
        def report(error, _message):
            waiting.discard(number)
            if error is None:
                acknowledged.write(f"{number}\n")
        return report

    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 2,
                         "reconnect.backoff.max.ms": 200, "message.timeout.ms": 60000})
    end, number = time.time() + seconds, 0
    while time.time() < end:
        if len(waiting) >= IN_FLIGHT_MAX:
            producer.poll(0.01)
            continue
        waiting.add(number)
        producer.produce(topic, str(number).encode(), key=str(number % 97).encode(), callback=delivered(number))
        number += 1
        producer.poll(0)
    producer.flush(60)
    acknowledged.close()


def read(bootstrap, topic):
    metadata = AdminClient({"bootstrap.servers": bootstrap}).list_topics(topic, timeout=30)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False})
    for partition in metadata.topics[topic].partitions:
        at = TopicPartition(topic, partition, 0)
        low, high = consumer.get_watermark_offsets(at, timeout=30)
        at.offset = low
        consumer.assign([at])
        while at.offset < high:
            for message in consumer.consume(1000, 1.0):
                if message.error():
                    sys.exit(str(message.error()))
                print(int(message.value()))
                at.offset = message.offset() + 1
    consumer.close()


if __name__ == "__main__":
    if sys.argv[1] == "--read":
        read(sys.argv[2], sys.argv[3])
    else:
        send(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]))
