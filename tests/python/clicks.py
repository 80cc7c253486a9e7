"""The program that many people learn Kafka with: click events keyed by user, and a group that counts them.

  clicks.py produce BOOTSTRAP COUNT       sends COUNT clicks to user_clicks
  clicks.py consume BOOTSTRAP COUNT       reads COUNT clicks in group analytics_group_1 and prints them as JSON lines
"""
import json
import sys
import time

from confluent_kafka import Consumer, Producer

TOPIC = "user_clicks"
SILENCE_LIMIT_S = 30


def produce(bootstrap, count):
    producer = Producer({"bootstrap.servers": bootstrap})
    failed = []
    for number in range(count):
        user = f"user_{number % 7}"
        click = {"user": user, "page": "/products", "number": number, "at": time.time()}
        producer.produce(TOPIC, key=user, value=json.dumps(click), callback=lambda error, _: error and failed.append(error))
        producer.poll(0)
    left = producer.flush(30)
    if failed or left:
        sys.exit(f"{len(failed)} failed, {left} left: {failed[:1]}")


def consume(bootstrap, count):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "analytics_group_1", "auto.offset.reset": "earliest"})
    consumer.subscribe([TOPIC])
    seen, heard = 0, time.time()
    while seen < count:
        message = consumer.poll(1.0)
        if message is None:
            if time.time() - heard > SILENCE_LIMIT_S:
                sys.exit(f"only {seen} of {count} clicks came")
            continue
        if message.error():
            sys.exit(str(message.error()))
        seen, heard = seen + 1, time.time()
        click = json.loads(message.value())
        assert message.key().decode() == click["user"]
        print(json.dumps({"partition": message.partition(), "offset": message.offset(), "number": click["number"]}))
    consumer.close()


if __name__ == "__main__":
    {"produce": produce, "consume": consume}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
