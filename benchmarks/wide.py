"""The same where one network already fills the machine: 32 members of MLP 64-256-256-10, batch 256.

Stacking saves nothing there; what saves is doing less work. Reported as it is, and with rungs: at least 4 times
faster than the full loop.
"""

from _bench import arguments
from population import Case, measure


def main() -> None:
    given = arguments(__doc__ or "", repeats=3).parse_args()
    case = Case(widths=(64, 256, 256, 10), batch=256, rows=4096, members=32, epochs=10, target=4, with_rungs=True)
    measure(case, "wide", given.repeats, given.threads, given.write)


if __name__ == "__main__":
    main()
