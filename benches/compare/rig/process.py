"""Processes that the rig starts: where they run, what CPU time and memory they took, and their end."""
import os
import re
import signal
import socket
import subprocess
import time

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def stat_fields(pid):
    """The fields of /proc/PID/stat after the program's name, which may itself hold blanks and brackets."""
    with open("/proc/%d/stat" % pid) as file:
        return file.read().rpartition(")")[2].split()


def family(pid):
    """The process and all that descend from it."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                parent = int(stat_fields(int(name))[1])
            except OSError:
                continue  # it ended while we looked
            children.setdefault(parent, []).append(int(name))
    found = [pid]
    for member in found:
        found += children.get(member, [])
    return found


def spent(pid):
    """CPU seconds of a family, in user mode and in the kernel; those of children that have ended count too."""
    user = system = 0
    for member in family(pid):
        try:
            fields = stat_fields(member)
        except OSError:
            continue
        user += int(fields[11]) + int(fields[13])
        system += int(fields[12]) + int(fields[14])
    return user / TICKS_A_SECOND, system / TICKS_A_SECOND


def spent_by_machine():
    """CPU seconds of everything on this machine: all but idling and waiting for disks."""
    with open("/proc/stat") as file:
        user, nice, system, _idle, _waiting, interrupts, soft, stolen = map(int, file.readline().split()[1:9])
    return (user + nice + system + interrupts + soft + stolen) / TICKS_A_SECOND


def memory(pid, field):
    """KiB of a family by a field of /proc/PID/status: VmRSS now, VmHWM at its highest."""
    total = 0
    for member in family(pid):
        try:
            with open("/proc/%d/status" % member) as file:
                line = re.search(r"^%s:\s+(\d+) kB" % field, file.read(), re.MULTILINE)
        except OSError:
            continue
        total += int(line.group(1)) if line else 0
    return total


class Failed(Exception):
    """A program did not do what the rig needs of it; the text says which and why."""


class Place:
    """Where and how urgently programs run."""

    def __init__(self, proxy_cpu, load_cpu, urgent):
        self.proxy_cpu = proxy_cpu
        self.load_cpu = load_cpu
        self.urgent = urgent

    def command(self, cpu, arguments):
        # Niceness is inherited from the rig.
        return list(arguments) if cpu is None else ["taskset", "-c", cpu, *arguments]

    def on_proxy_cpu(self, arguments):
        return self.command(self.proxy_cpu, arguments)

    def on_load_cpu(self, arguments):
        return self.command(self.load_cpu, arguments)

    def put_rig_ahead(self):
        """The rig itself: it mints tokens and holds idle connections."""
        if self.urgent:
            try:
                os.setpriority(os.PRIO_PROCESS, 0, -15)
            except PermissionError as error:
                raise Failed("only root may run ahead of others: --boost is refused") from error
            self.put_ahead(os.getpid())

    def put_ahead(self, pid):
        """Kernels that share CPU time by session look at a session's weight before any process's niceness."""
        if self.urgent:
            try:
                with open("/proc/%d/autogroup" % pid, "w") as file:
                    file.write("-19")
            except OSError:
                pass  # this kernel does not group; the niceness does it then


class Server:
    """A program in a session of its own, which listens on a port of the loopback until it is stopped."""

    # A program that is being counted takes fifty times as long to start.
    SECONDS_TO_LISTEN = 30

    def __init__(self, command, environment, port, log, place):
        self.log_path = log
        with open(log, "wb") as output:
            self.process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=output, stderr=output,
                                            stdin=subprocess.DEVNULL, start_new_session=True)
        self.pid = self.process.pid
        place.put_ahead(self.pid)
        try:
            self.wait_until_it_listens(port)
        except Failed:
            self.stop()
            raise

    def wait_until_it_listens(self, port):
        deadline = time.monotonic() + self.SECONDS_TO_LISTEN
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Failed("ended with status %s before it listened: %s" % (self.process.returncode, self.said()))
            try:
                socket.create_connection(("127.0.0.1", port), 0.5).close()
                return
            except OSError:
                time.sleep(0.02)
        raise Failed("does not listen: " + self.said())

    def said(self):
        """The end of what it printed."""
        with open(self.log_path, errors="replace") as file:
            return file.read()[-1500:].strip()

    def signal_all(self, which):
        try:
            os.killpg(self.pid, which)
        except ProcessLookupError:
            pass

    def stop(self):
        self.signal_all(signal.SIGTERM)
        try:
            self.process.wait(1.5)
        except subprocess.TimeoutExpired:
            pass
        # Whether or not it obeyed: workers may have outlived their master.
        self.signal_all(signal.SIGKILL)
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def free_ports(count):
    """Ports that nobody listens on, below those that the kernel gives to outgoing connections: a connection of the load
    tool must not sit on a peer's port while peers take turns."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        lowest = int(file.read().split()[0])
    top = lowest if lowest > 4000 else 65536
    found = []
    # Rigs that run at the same time begin at different places.
    start = os.getpid() * 37
    for step in range(top - 2000):
        port = 2000 + (start + step) % (top - 2000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise Failed("there are no %d free ports" % count)
