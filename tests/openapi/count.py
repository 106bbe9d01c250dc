"""Says what a run of the fuzzer sent, and what came back."""

import collections
import json
import sys

statuses = collections.Counter()
entries = set()
for report in sys.argv[1:]:
    with open(report, encoding="utf-8") as lines:
        for line in lines:
            finished = json.loads(line).get("ScenarioFinished")
            if finished:
                recorder = finished["recorder"]
                entries.add(recorder["label"])
                for interaction in recorder["interactions"].values():
                    statuses[(interaction["response"] or {}).get("status_code")] += 1

answers = ", ".join(f"{count} times {status}" for status, count in sorted(statuses.items(), key=str))
print(f"{sum(statuses.values())} requests to {len(entries)} entries; answers: {answers}")
