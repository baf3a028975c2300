"""A program whose page is tested, and shown in the documents: who grows, who releases and when is plain.

    load_table      keeps 24 MiB, at once
    scratch         takes 40 MiB and gives them back, three times
    remember        keeps 64 KiB with each of 120 calls
    worker          a thread of its own, which keeps 8 MiB
"""
import json
import threading
import time

MIB = 1 << 20
table, cache, results = [], [], []


def pages(size):
    """Memory that the process really has."""
    return bytearray(b"x") * size


def load_table():
    time.sleep(0.01)
    table.append(pages(24 * MIB))
    time.sleep(0.01)


def scratch():
    block = pages(40 * MIB)
    time.sleep(0.005)
    return len(block)


def remember(number):
    cache.append(pages(64 * 1024))
    return json.dumps({"number": number, "held": len(cache)})


def handle(number):
    answer = remember(number)
    time.sleep(0.0005)
    return answer


def serve():
    for number in range(120):
        handle(number)
        if number % 40 == 20:
            scratch()


def worker():
    time.sleep(0.02)
    results.append(pages(8 * MIB))
    time.sleep(0.02)


def main():
    load_table()
    thread = threading.Thread(target=worker, name="worker")
    thread.start()
    thread.join()
    serve()


main()
