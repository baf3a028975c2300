"""The messages of the `perfetto` package read FILE: every field is known, slices nest, all that is interned is there.

    python3 check_perfetto.py FILE [SLICES]

SLICES: how many there must be.  Then the trace processor, which the package fetches from elsewhere, counts them.
"""

import subprocess
import sys

from google.protobuf import unknown_fields
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as pb


def check_known(message):
    assert len(unknown_fields.UnknownFieldSet(message)) == 0, message
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for inner in [value] if hasattr(value, "ListFields") else value:
                check_known(inner)


def main(path, slices):
    trace = pb.Trace()
    with open(path, "rb") as file:
        trace.ParseFromString(file.read())
    check_known(trace)
    tracks, names, places, depth, last, count = {}, set(), set(), {}, {}, 0
    for packet in trace.packet:
        if packet.HasField("track_descriptor"):
            tracks[packet.track_descriptor.uuid] = packet.track_descriptor
        names.update(name.iid for name in packet.interned_data.event_names)
        places.update(place.iid for place in packet.interned_data.source_locations)
        if not packet.HasField("track_event"):
            continue
        event = packet.track_event
        track = tracks[event.track_uuid]
        assert packet.timestamp >= last.get(track.uuid, 0)
        last[track.uuid] = packet.timestamp
        if event.type == pb.TrackEvent.TYPE_COUNTER:
            assert track.counter.unit == pb.CounterDescriptor.UNIT_SIZE_BYTES
            continue
        if event.type == pb.TrackEvent.TYPE_SLICE_BEGIN:
            assert event.name_iid in names
            assert not event.source_location_iid or event.source_location_iid in places
            count += 1
            depth[track.uuid] = depth.get(track.uuid, 0) + 1
        else:
            assert event.type == pb.TrackEvent.TYPE_SLICE_END
            depth[track.uuid] -= 1
            assert depth[track.uuid] >= 0
    assert count and not any(depth.values()), depth
    assert slices is None or count == slices, count
    return count


def main_processor(path, count):
    from perfetto.trace_processor import TraceProcessor
    try:
        processor = TraceProcessor(trace=path)
    except (OSError, subprocess.CalledProcessError) as error:
        print("NOT RUN: perfetto's trace processor cannot be fetched here: %s" % type(error).__name__)
        return
    found = next(iter(processor.query("select count(*) as n from slice"))).n
    assert found == count, (found, count)
    counters = next(iter(processor.query("select count(*) as n from counter"))).n
    assert counters > 0


if __name__ == "__main__":
    number = main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None)
    main_processor(sys.argv[1], number)
