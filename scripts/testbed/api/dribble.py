"""A client that dribbles its head must not hold a connection for ever. Usage: dribble.py HOST PORT SECONDS"""

import socket
import sys
import time

host, port, most = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
begun = time.monotonic()
with socket.create_connection((host, port)) as client:
    client.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n")
    client.settimeout(1)
    while time.monotonic() - begun < most:
        try:
            client.sendall(b"x-a: b\r\n")
            if client.recv(1024) == b"":
                break
        except TimeoutError:
            continue
        except OSError:
            break
    else:
        sys.exit(f"still connected after {most} s of a head that never ends")
print(f"COUNT dribbled_head cut_after_s={time.monotonic() - begun:.0f}")
