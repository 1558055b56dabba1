# SPDX-License-Identifier: Apache-2.0
"""llama.cpp's HTTP server out of the Python package xllamacpp, with llama-server's own flags.

inferlaw starts it where llama-server itself is not installed. It serves until it is told to end.
"""
import argparse
import signal
import sys


def read_flags():
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--model", required=True)
    flags.add_argument("--host", default="127.0.0.1")
    flags.add_argument("--port", type=int, required=True)
    flags.add_argument("--threads", type=int, required=True)
    flags.add_argument("--threads-batch", type=int, required=True)
    flags.add_argument("--parallel", type=int, default=1)
    flags.add_argument("--ctx-size", type=int, default=0)
    flags.add_argument("--n-gpu-layers", type=int, default=0)
    flags.add_argument("--cache-ram", type=int, default=0)
    flags.add_argument("--alias", default="")
    return flags.parse_args()


def main():
    flags = read_flags()
    # The default action ends the process at once, also in the middle of a native call.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        import xllamacpp
    except ImportError as e:
        sys.exit(f"this Python has no xllamacpp: {e}; inferlaw runtimes install llama.cpp-light")
    params = xllamacpp.CommonParams()
    params.model.path = flags.model
    params.hostnames = [flags.host]
    params.port = flags.port
    params.n_parallel = flags.parallel
    params.n_gpu_layers = flags.n_gpu_layers
    params.cpuparams.n_threads = flags.threads
    params.cpuparams_batch.n_threads = flags.threads_batch
    params.cache_ram_mib = flags.cache_ram
    if flags.ctx_size:
        params.n_ctx = flags.ctx_size
    if flags.alias:
        params.model_alias = {flags.alias} if isinstance(params.model_alias, set) else flags.alias
    server = xllamacpp.Server(params)  # returns when the model is loaded, raises when it is not
    print(f"serving {flags.model} at {server.listening_address}", file=sys.stderr, flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
