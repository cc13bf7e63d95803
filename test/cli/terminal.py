#!/usr/bin/env python3
"""Runs a command on a pseudo-terminal: terminal.py COLUMNS EXPECT TYPE COMMAND...

Waits until EXPECT was shown, types TYPE (and a newline, unless it is one control character), prints
what was shown, and exits as the command did.
"""
import fcntl, os, pty, select, signal, struct, sys, termios, time

columns, expect, typed, command = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    os.environ.update(TERM="xterm", LC_ALL="C.UTF-8")
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # below a background job it is ignored
    os.execv(command[0], command)
shown = b""
is_typed = typed == ""
until = time.monotonic() + 60
while time.monotonic() < until:
    if not select.select([fd], [], [], 0.1)[0]:
        continue
    try:
        data = os.read(fd, 65536)
    except OSError:
        break
    if not data:
        break
    shown += data
    if not is_typed and expect.encode() in shown:
        is_typed = True
        time.sleep(0.1)
        is_key = len(typed) == 1 and typed < " "
        os.write(fd, typed.encode() if is_key else typed.encode() + b"\n")
sys.stdout.buffer.write(shown)
status = os.waitpid(pid, 0)[1]
sys.exit(os.waitstatus_to_exitcode(status))
