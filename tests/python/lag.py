"""What a test of lag knows by its own clock, with the stock client.

  lag.py produce BOOTSTRAP TOPIC SECONDS RATE   sends RATE records a second, each with a timestamp of an hour ago, and
                                                prints the offset and the time of each acknowledgement
  lag.py commit BOOTSTRAP TOPIC GROUP OFFSET    commits OFFSET in partition 0, as a consumer that manages itself
"""
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition

AN_HOUR_MS = 3_600_000


def produce(bootstrap, topic, seconds, rate):
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})

    def acknowledged(error, message):
        if error:
            sys.exit(str(error))
        print(message.offset(), time.time(), flush=True)

    for _ in range(int(float(seconds) * float(rate))):
        stamp = int(time.time() * 1000) - AN_HOUR_MS
        producer.produce(topic, b'{"n": 1}', partition=0, timestamp=stamp, callback=acknowledged)
        producer.poll(1 / float(rate))
        time.sleep(1 / float(rate))
    if producer.flush(30):
        sys.exit("not everything was acknowledged")


def commit(bootstrap, topic, group, offset):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    result = consumer.commit(offsets=[TopicPartition(topic, 0, int(offset))], asynchronous=False)
    if result[0].error:
        sys.exit(str(result[0].error))
    consumer.close()


if __name__ == "__main__":
    {"produce": produce, "commit": commit}[sys.argv[1]](*sys.argv[2:])
