"""Slurm on loopback: munged, slurmctld and slurmd of Debian's packages, for one node that is this machine."""

import contextlib
import os
import pwd
import secrets
import socket
import subprocess
import time

from tests.reference import orphans, servers

CPUS = 2  # jobs at a time
DEVICES = ("/dev/null", "/dev/zero")  # what stands for their GPUs
COMMANDS = ("sbatch", "scancel", "squeue", "sinfo", "scontrol")


@contextlib.contextmanager
def cluster(scratch):
    """The daemons, until the block ends: the environment variables under which sbatch and its like find them.

    They keep no accounts and hold nobody in cgroups, so that they run in a container. Jobs may ask for GPUs
    and memory that are not there: it is the workers that are tried, not their devices.
    """
    munged, controller, node = map(servers.program, ("munged", "slurmctld", "slurmd"))
    for command in COMMANDS:
        servers.program(command)
    scratch.mkdir()
    key, asked = scratch / "key", scratch / "munge.socket"
    key.write_bytes(secrets.token_bytes(64))
    key.chmod(0o400)
    (scratch / "state").mkdir()
    (scratch / "spool").mkdir()
    ports = servers.free_port(), servers.free_port()
    configuration = scratch / "slurm.conf"
    configuration.write_text(_configuration(scratch, asked, ports))
    (scratch / "gres.conf").write_text("".join(f"NodeName=here Name=gpu File={one}\n" for one in DEVICES))
    (scratch / "cgroup.conf").write_text("CgroupAutomount=no\n")
    environment = {"SLURM_CONF": str(configuration)}
    with contextlib.ExitStack() as stack:
        stack.enter_context(orphans.ended(f"SLURM_CONF={configuration}"))  # jobs, too
        # --force: the folders of tests are for their owner alone, which munged warns of
        files = [f"--{name}-file={scratch}/munge.{name}" for name in ("log", "pid", "seed")]
        authority = [munged, "--foreground", "--force", f"--socket={asked}", f"--key-file={key}", *files]
        stack.enter_context(_running(authority, scratch / "munged.txt", asked.exists, environment))
        for command, port in ((controller, ports[0]), (node, ports[1])):
            own = ["-N", "here"] if command == node else []
            listens = _listening(port)
            log = scratch / f"{port}.txt"
            started = [command, "-D", "-f", str(configuration), *own]
            stack.enter_context(_running(started, log, listens, environment))
        _until(lambda: ask(environment, "sinfo", "-h", "-o", "%T") == ["idle"], scratch)
        try:
            yield environment
        finally:
            ask(environment, "scancel", "--user", pwd.getpwuid(os.geteuid()).pw_name)
            _until(lambda: not ask(environment, "squeue", "-h"), scratch)


def ask(environment, *command):
    """The lines that a command of Slurm prints."""
    own = {**os.environ, **environment}
    found = subprocess.run(
        [servers.program(command[0]), *command[1:]], env=own, capture_output=True, text=True
    )
    return found.stdout.split("\n")[:-1]


def _configuration(scratch, asked, ports):
    name, user = socket.gethostname().partition(".")[0], pwd.getpwuid(os.geteuid()).pw_name
    return f"""
ClusterName=test
SlurmctldHost={name}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={asked}
CredType=cred/munge
StateSaveLocation={scratch}/state
SlurmdSpoolDir={scratch}/spool
SlurmctldPidFile={scratch}/slurmctld.pid
SlurmdPidFile={scratch}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_min_interval=1000,batch_sched_delay=0
ReturnToService=2
KillWait=5
GresTypes=gpu
NodeName=here NodeHostname={name} NodeAddr=127.0.0.1 CPUs={CPUS} RealMemory=1000000 Gres=gpu:{CPUS}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@contextlib.contextmanager
def _running(command, log, ready, environment):
    """A daemon, which is waited for until it is ready, and ended after the block."""
    with open(log, "w") as output:
        own = {**os.environ, **environment}
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=own)
    try:
        _until(lambda: ready() or process.poll() is not None, log.parent)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(servers.PATIENCE)


def _listening(port):
    def listens():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    return listens


def _until(condition, scratch):
    deadline = time.monotonic() + servers.PATIENCE
    while not condition():
        logs = "\n".join(path.read_text() for path in scratch.glob("*.txt"))
        assert time.monotonic() < deadline, f"Slurm does not come to that:\n{logs}"
        time.sleep(0.2)
