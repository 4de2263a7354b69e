"""Two ranks in two network namespaces with a shaped link between them: does the forecast of a step come true?

    sudo chrt -r 1 python tests/campaigns/shaped_links.py

Needs Linux, root, and `ip` and `tc` of iproute2; `chrt` keeps other programs off the two cores. The forecast takes
the time of steps of both ranks at once that send nothing, latency and bandwidth from sums over the shaped link, what
part of the sums is hidden from two ranks that share memory, and the formula of `benchmarks/scaling_mpi.py`. Steps that
do send are measured in turn with those that do not. Fails where forecast and measurement are more than a quarter apart.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
import scaling_mpi

MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]]))
SIDES = ("mcnn0", "mcnn1")  # namespaces; the interface inside has the name of the namespace
LARGEST = 0.25  # of the measured time
OVER_TCP = {"MPIR_CVAR_NOLOCAL": "1", "MPIR_CVAR_CH4_NETMOD": "ofi", "FI_PROVIDER": "tcp"}  # not shared memory


def run(command):
    """Run a command that must succeed; return what it prints."""
    return subprocess.run(command.split(), check=True, stdout=subprocess.PIPE, text=True).stdout


@contextlib.contextmanager
def link(gbits):
    """Keep two namespaces with a link of so many Gbit/s in each direction."""
    try:
        for side in SIDES:
            run(f"ip netns add {side}")
        run("ip link add {0} netns {0} type veth peer name {1} netns {1}".format(*SIDES))
        for number, side in enumerate(SIDES, start=1):
            run(f"ip -n {side} addr add 10.77.0.{number}/24 dev {side}")
            for device in (side, "lo"):
                run(f"ip -n {side} link set {device} up")
            run(f"tc -n {side} qdisc add dev {side} root tbf rate {gbits}gbit burst {256 * gbits}kb latency 50ms")
        while not all(" UP " in run(f"ip -n {side} -br link show {side}") for side in SIDES):
            time.sleep(0.1)
        yield
    finally:
        for side in SIDES:
            subprocess.run(["ip", "netns", "del", side], check=False)


def measure(options, shaped):
    """Return what `scaling_mpi` measures on two ranks, over the link or in shared memory."""
    words = ["--json", "--model", options.model, "--batch", str(options.batch), "--rounds", str(options.rounds)]
    program = [sys.executable, scaling_mpi.__file__, *words, "--threads", "1"]
    command = [MPIEXEC, "-n", "2", *program]
    if shaped:
        ranks = [["-n", "1", "-env", "FI_TCP_IFACE", s, "ip", "netns", "exec", s, *program] for s in SIDES]
        command = [MPIEXEC, *ranks[0], ":", *ranks[1]]
    environment = os.environ | (OVER_TCP if shaped else {})
    answer = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(answer.splitlines()[-1])


def main():
    """Measure and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="cifar4")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--gbits", type=int, nargs="+", default=[1, 10])
    options = parser.parse_args()
    local, worst = measure(options, shaped=False), 0.0
    print(
        f"shared memory: {1000 * local['step']:.1f} ms a step, {1000 * local['compute']:.1f} ms of them compute; "
        f"{scaling_mpi.hidden(local):.0%} of the sums hidden",
        flush=True,
    )
    for gbits in options.gbits:
        with link(gbits):
            measured = measure(options, shaped=True)
        network = {key: measured[key] for key in ("latency", "bandwidth", "bytes", "buckets")}
        sums = scaling_mpi.ring(2, network["bytes"], network["latency"], network["bandwidth"], network["buckets"])
        for what, key, share in (
            ("no overlap", "step_without_overlap", 1.0),
            ("overlap", "step", 1 - scaling_mpi.hidden(local)),
        ):
            expected = measured["compute"] + share * sums
            worst = max(worst, abs(expected / measured[key] - 1))
            print(
                f"{gbits} Gbit/s, {what}: forecast {1000 * expected:.1f} ms, measured {1000 * measured[key]:.1f} ms, "
                f"{expected / measured[key] - 1:+.0%} (link {network['latency'] * 1e6:.0f} us, "
                f"{network['bandwidth'] * 8e-9:.2f} Gbit/s; compute {1000 * measured['compute']:.1f} ms)",
                flush=True,
            )
    sys.exit(0 if worst <= LARGEST else 1)


if __name__ == "__main__":
    main()
