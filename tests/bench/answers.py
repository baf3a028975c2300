"""A program of many short calls for bench_dump.py to record: answers.py ROUNDS, some 75,000 events each."""
import json
import random
import re
import sys


class Node:
    def __init__(self, depth):
        self.depth = depth
        self.children = [Node(depth - 1) for _ in range(3)] if depth else []

    def total(self):
        return self.depth + sum(child.total() for child in self.children)


def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def work(randomness):
    rows = [{"share": randomness.random(), "name": str(n), "shape": [n] * 3} for n in range(200)]
    text = json.dumps(rows, indent=1)
    json.loads(text)
    by_length = {}
    for word in re.findall(r"\w+", text):
        by_length.setdefault(len(word), []).append(word)
    for words in by_length.values():
        words.sort(key=lambda word: word[::-1])
    return fibonacci(13) + Node(6).total()


def main():
    randomness = random.Random(1)
    for _ in range(int(sys.argv[1])):
        work(randomness)


if __name__ == "__main__":
    main()
