"""Two ranks in two network namespaces with a shaped link between them: does the forecast of a step come true?

    sudo chrt -r 1 python tests/campaigns/shaped_links.py

Needs Linux, root, and `ip` and `tc` of iproute2; `chrt` keeps other programs off the two cores. The forecast takes
the time of steps of both ranks at once that send nothing, latency and bandwidth from sums over the shaped link, and
the formula of `benchmarks/scaling_mpi.py`. Steps that do send are measured in turn with those that do not. Fails where
forecast and measurement are more than a quarter apart.
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


def remove_sides():
    """Delete the namespaces that are there, and the link with them."""
    for side in SIDES:
        subprocess.run(["ip", "netns", "del", side], check=False, stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def link(gbits):
    """Keep two namespaces with a link of a given speed, in Gbit/s, in each direction."""
    remove_sides()  # of a run that was killed
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
        remove_sides()


def measure(options):
    """Return what `scaling_mpi` measures on two ranks, one on each side of the link."""
    words = ["--json", "--model", options.model, "--batch", str(options.batch), "--rounds", str(options.rounds)]
    program = [sys.executable, scaling_mpi.__file__, *words, "--threads", "1"]
    one, other = (["-n", "1", "-env", "FI_TCP_IFACE", s, "ip", "netns", "exec", s, *program] for s in SIDES)
    command, environment = [MPIEXEC, *one, ":", *other], os.environ | OVER_TCP
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
    worst = 0.0
    for gbits in options.gbits:
        with link(gbits):
            measured = measure(options)
        sums = scaling_mpi.ring(2, *(measured[key] for key in ("bytes", "latency", "bandwidth", "buckets")))
        expected = measured["compute"] + sums
        print(
            f"{gbits} Gbit/s: {measured['latency'] * 1e6:.0f} us, {measured['bandwidth'] * 8e-9:.2f} Gbit/s measured; "
            f"forecast {1000 * measured['compute']:.1f} ms of compute + {1000 * sums:.1f} ms = {1000 * expected:.1f} ms"
        )
        for what, key in (("after backward", "step_without_overlap"), ("while backward runs", "step")):
            apart = expected / measured[key] - 1
            worst = max(worst, abs(apart))
            print(f"    sums {what}: measured {1000 * measured[key]:.1f} ms, forecast {apart:+.0%}", flush=True)
    sys.exit(0 if worst <= LARGEST else 1)


if __name__ == "__main__":
    main()
