"""Stands in for kafka-python's `test/service.py`, which its source package leaves out: a broker that runs elsewhere."""


class ExternalService:
    def __init__(self, host, port):
        self.host, self.port = host, port

    def open(self):
        pass

    def close(self):
        pass

    def stop(self):
        pass

    def dump_logs(self):
        pass

    def wait_for(self, _pattern, timeout=None):
        return True


class SpawnedService:
    def __init__(self, *_args, **_kwargs):
        raise RuntimeError("these tests run against a broker that is there already")
