"""Runs one OpenStack API on a loopback port.

    serve.py MODULE PORT [THREADS]        MODULE has a WSGI `application`
"""

import importlib
import sys

import waitress

module, port = sys.argv[1], int(sys.argv[2])
threads = int(sys.argv[3]) if len(sys.argv) > 3 else 4
# The services read their own command line.
sys.argv = [module]
application = importlib.import_module(module).application
waitress.serve(
    application, host="127.0.0.1", port=port, threads=threads, ident=None, max_request_body_size=1 << 30
)
