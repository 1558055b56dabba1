# SPDX-License-Identifier: Apache-2.0
"""The worker protocol of docs/wire.md for runtimes that Python drives.

Import this module before anything else: it takes the worker's first stamp and moves descriptor 1
away, since libraries print. A worker is a class with the methods of Runtime and one line:
serve(MyRuntime()). Standard library only, Python 3.9 or later.
"""
import time

T_MAIN_NS = time.monotonic_ns()

import fcntl  # noqa: E402  (the stamp comes first)
import gc  # noqa: E402
import glob  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import resource  # noqa: E402
import sys  # noqa: E402
import traceback  # noqa: E402

PROTOCOL = 1
MAX_MESSAGE_BYTES = 64 << 20
FILL_TOK = 512

now_ns = time.monotonic_ns


def _take_descriptors():
    """Messages go over private copies of 0 and 1; what is printed goes to standard error, and no
    program that a library starts can eat a request."""
    take = getattr(fcntl, "F_DUPFD_CLOEXEC", fcntl.F_DUPFD)
    requests = fcntl.fcntl(0, take, 3)
    replies = fcntl.fcntl(1, take, 3)
    os.dup2(2, 1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return os.fdopen(requests, "rb"), replies


class Failure(Exception):
    """Becomes a failure reply. code: a name of the table in inferlaw/error.h."""

    def __init__(self, code, what, hint=None, where=None):
        super().__init__(what)
        self.code, self.what, self.hint, self.where = code, what, hint, where


class Stages:
    """The stages of a load: `with stages("weights"): …`."""

    def __init__(self):
        self.list = []

    def __call__(self, name):
        return _Stage(self.list, name)


class _Stage:
    def __init__(self, out, name):
        self.out, self.name = out, name

    def __enter__(self):
        self.faults = resource.getrusage(resource.RUSAGE_SELF).ru_majflt
        self.t0_ns = now_ns()

    def __exit__(self, kind, value, trace):
        t1_ns = now_ns()
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_majflt - self.faults
        self.out.append({"name": self.name, "t0_ns": self.t0_ns, "t1_ns": t1_ns,
                         "major_faults": faults})


class Runtime:
    """What a worker implements. Every method may raise Failure; the worker stays usable."""

    worker = "python"
    dtypes = ("fp32",)
    devices = ("cpu",)
    packages = ()  # distributions whose versions hello tells, the runtime itself first

    def load(self, request, stages):
        """Loads request["model"]; returns the facts."""
        raise NotImplementedError

    def prepare(self, job):
        """Untimed: everything that the calls of `job` (a Job) need. May return keys of the reply."""
        raise NotImplementedError

    def before_call(self):
        """Untimed, before every call: an empty cache, filled to the depth."""

    def call(self, split):
        """One prefill and job.gen_tokens greedy steps. Returns the keys of the reply: t0_ns,
        t_end_ns, with split t_first_ns and t_step_ns, and what else it measured."""
        raise NotImplementedError

    def after_call(self, reply):
        """Untimed: checks the answers (NONFINITE) and adds what the reply still lacks."""

    def logits(self, ids, path):
        """Writes float32 logits, one row a position; returns (rows, columns)."""
        raise Failure("UNSUPPORTED", "this worker writes no logits")

    def unload(self):
        pass


class Job:
    """A prepared call."""

    def __init__(self, request):
        self.batch = need_int(request, "batch", 1)
        self.ids = request.get("ids")
        self.gen_tokens = need_int(request, "gen_tokens", 0)
        self.depth_tok = request.get("depth_tok") or 0
        if not isinstance(self.ids, list) or len(self.ids) != self.batch:
            raise Failure("PROTOCOL", f"key \"ids\" must hold {self.batch} prompts")
        self.n_ids = len(self.ids[0]) if isinstance(self.ids[0], list) else 0
        for prompt in self.ids:
            if not isinstance(prompt, list) or not prompt or len(prompt) != self.n_ids:
                raise Failure("PROTOCOL", "prompts must be lists of ids of the same length")
            check_ids(prompt, None)
        self.context_tok = self.depth_tok + self.n_ids + self.gen_tokens

    def check(self, vocab_size, n_positions):
        for prompt in self.ids:
            check_ids(prompt, vocab_size)
        if n_positions and self.context_tok > n_positions:
            raise Failure("RANGE", f"{self.depth_tok} tokens of depth, {self.n_ids} of prompt and "
                          f"{self.gen_tokens} to generate exceed the {n_positions} positions of "
                          "the model", hint="shorten the prompt, gen_tokens or the depth")

    def fill_pieces(self, vocab_size):
        """Ids that stand in the cache before the prompt, in pieces of batch rows: those of the
        native worker, so that every runtime fills with the same tokens."""
        done = 0
        while done < self.depth_tok:
            n = min(FILL_TOK, self.depth_tok - done)
            yield [[((i + 1 + b * 7919) * 2654435761 & 0xFFFFFFFF) % vocab_size for i in range(n)]
                   for b in range(self.batch)]
            done += n


def need(request, key, kind):
    value = request.get(key)
    if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
        raise Failure("PROTOCOL", f"key \"{key}\" of the {request.get('type')} message is missing "
                      "or of a wrong type")
    return value


def need_int(request, key, least):
    value = need(request, key, int)
    if value < least:
        raise Failure("PROTOCOL", f"key \"{key}\" must be at least {least}")
    return value


def check_ids(ids, vocab_size):
    for i, token in enumerate(ids):
        if not isinstance(token, int) or isinstance(token, bool):
            raise Failure("PROTOCOL", "token ids must be integers")
        if token < 0 or (vocab_size is not None and token >= vocab_size):
            raise Failure("RANGE", f"token id {token} at position {i} is outside the vocabulary"
                          + (f" of {vocab_size}" if vocab_size is not None else ""))


def pick(options, key, choices, default):
    """A choice out of the options of a load request."""
    value = options.pop(key, None)
    value = default if value is None else value
    if value not in choices:
        raise Failure("INVALID", f"option {key}: {str(value)[:60]} is none of "
                      + ", ".join(str(c) for c in choices))
    return value


def refuse_rest(options, worker):
    if options:
        key = sorted(options)[0]
        raise Failure("INVALID", f"the {worker} worker knows no option \"{str(key)[:60]}\"",
                      hint="docs/python-workers.md lists the options")


# --- the machine --------------------------------------------------------------------------------


def physical_cores():
    """Cores that this process may run on, two hardware threads of a core counted once."""
    cores = set()
    for cpu in os.sched_getaffinity(0):
        path = f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        try:
            with open(path, encoding="ascii") as file:
                cores.add(file.read().strip())
        except OSError:
            cores.add(cpu)
    return max(1, len(cores))


def set_affinity(text):
    """"0-3,8"; the driver has mostly set it already."""
    cpus = set()
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            cpus.update(range(int(first), int(last or first) + 1))
        os.sched_setaffinity(0, cpus)
    except (ValueError, OSError) as error:
        raise Failure("INVALID", f"none of the CPUs {text[:60]} may be used: {error}") from error


def set_threads(n):
    """Before the runtime is imported: thread pools read these when they are made. Returns n, or
    one per physical core for 0."""
    n = n or physical_cores()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS"):
        os.environ[name] = str(n)
    return n


def cuda_device_files():
    return bool(glob.glob("/dev/nvidia[0-9]*") or os.path.exists("/dev/dxg"))


def package_version(name):
    """Of an installed distribution, without importing it; None when it is not there."""
    from importlib import metadata
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _kib(path, key):
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith(key + ":"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def write_rows(path, data):
    """data: bytes-like. The file appears whole or not at all."""
    part = f"{path}.{os.getpid()}.part"
    try:
        with open(part, "wb") as file:
            file.write(data)
        os.replace(part, path)
    except OSError as error:
        code = {2: "NOT_FOUND", 13: "ACCESS", 28: "NO_SPACE"}.get(error.errno, "IO")
        raise Failure(code, f"cannot write logits: {error.strerror}", where=str(path)) from error


def source_hash():
    """Of the worker's own files, so that a journal names the code that ran."""
    import hashlib
    digest = hashlib.sha256()
    for path in sorted(glob.glob(os.path.join(os.path.dirname(os.path.abspath(__file__)), "*.py"))):
        with open(path, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()[:16]


# --- the loop -----------------------------------------------------------------------------------


def _one_line(error, limit=300):
    text = " ".join(str(error).split())
    return text if len(text) <= limit else text[:limit] + "…"


def out_of_memory(error):
    text = str(error)
    return (isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
            or "can't allocate memory" in text or "CUDA out of memory" in text
            or "Failed to allocate memory" in text or "bad allocation" in text)


class _Server:
    def __init__(self, runtime, replies):
        self.runtime, self.replies = runtime, replies
        self.loaded, self.job, self.leave = False, None, False

    def send(self, message):
        data = (json.dumps(message, allow_nan=False) + "\n").encode("ascii")
        view = memoryview(data)
        while view:
            view = view[os.write(self.replies, view):]

    def hello(self):
        runtime = self.runtime
        first = runtime.packages[0] if runtime.packages else runtime.worker
        self.send({
            "type": "hello", "protocol": PROTOCOL, "worker": runtime.worker, "version": "0.1.0",
            "source_hash": source_hash(), "pid": os.getpid(), "t_main_ns": T_MAIN_NS,
            "caps": {"step_times": True, "unsplit": True, "logits": True,
                     "dtypes": list(runtime.dtypes), "devices": list(runtime.devices),
                     "families": None},
            "runtime": {"name": first, "version": package_version(first) or "absent"}})

    def need_model(self):
        if not self.loaded:
            raise Failure("INVALID", "no model is loaded: send load first")

    def do_load(self, request):
        for key in ("model", "dtype", "device", "logits"):
            need(request, key, str)
        need_int(request, "threads", 0)
        for key in ("max_batch", "max_prompt_tok"):
            need_int(request, key, 1)
        need_int(request, "max_gen_tok", 0)
        if request.get("affinity"):
            set_affinity(request["affinity"])
        self.do_unload(request)
        stages = Stages()
        t0_ns = now_ns()
        try:
            facts = self.runtime.load(request, stages)
        except BaseException:
            self.runtime.unload()
            raise
        t1_ns = now_ns()
        self.loaded = True
        # What the imports left behind is not looked at again; the collector itself runs only
        # between calls.
        gc.collect()
        gc.freeze()
        gc.disable()
        return {"t0_ns": t0_ns, "t1_ns": t1_ns, "stages": stages.list, "facts": facts}

    def do_prepare(self, request):
        self.need_model()
        self.job = None
        job = Job(request)
        reply = self.runtime.prepare(job)
        self.job = job
        return reply or {}

    def do_call(self, request):
        split = need(request, "split", bool)
        self.need_model()
        if self.job is None:
            raise Failure("INVALID", "nothing is prepared: send prepare first")
        self.runtime.before_call()
        gc.collect()
        before = resource.getrusage(resource.RUSAGE_SELF)
        reply = self.runtime.call(split)
        after = resource.getrusage(resource.RUSAGE_SELF)
        reply.update(n_steps=self.job.gen_tokens, prompt_tok=self.job.n_ids,
                     major_faults=after.ru_majflt - before.ru_majflt,
                     minor_faults=after.ru_minflt - before.ru_minflt,
                     ctx_involuntary=after.ru_nivcsw - before.ru_nivcsw)
        self.runtime.after_call(reply)
        return reply

    def do_logits(self, request):
        self.need_model()
        ids = need(request, "ids", list)
        if not ids:
            raise Failure("PROTOCOL", "key \"ids\" must hold at least one token")
        rows, columns = self.runtime.logits(ids, need(request, "path", str))
        return {"rows": rows, "columns": columns}

    def do_telemetry(self, request):
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {"rss_bytes": _kib("/proc/self/status", "VmRSS"),
                "pss_bytes": _kib("/proc/self/smaps_rollup", "Pss"),
                "major_faults": usage.ru_majflt, "minor_faults": usage.ru_minflt}

    def do_unload(self, request):
        self.job = None
        if self.loaded:
            self.loaded = False
            self.runtime.unload()
            gc.unfreeze()
            gc.collect()
        return {}

    def do_bye(self, request):
        self.leave = True
        return {}

    def answer(self, request):
        ident = request.get("id") if isinstance(request, dict) else None
        if not isinstance(ident, int) or isinstance(ident, bool) or ident < 0:
            ident = 0
        try:
            if not isinstance(request, dict):
                raise Failure("PROTOCOL", "a request is a JSON object")
            kind = need(request, "type", str)
            handler = getattr(self, "do_" + kind, None) if kind.isalpha() else None
            if handler is None:
                raise Failure("UNSUPPORTED", f"the {self.runtime.worker} worker knows no request "
                              f"\"{kind[:40]}\"")
            return {"id": ident, "ok": True, **handler(request)}
        except Failure as failure:
            return {"id": ident, "ok": False, "code": failure.code, "what": failure.what,
                    "where": failure.where, "hint": failure.hint}
        except Exception as error:  # whatever a runtime throws is an answer, not an end
            traceback.print_exc()
            if "CUDA error" in str(error):
                # The context is lost with everything in it: a worker that cannot go on leaves.
                print(f"{type(error).__name__}: {_one_line(error)}", file=sys.stderr, flush=True)
                os._exit(3)
            code = "NOMEM" if out_of_memory(error) else "INTERNAL"
            return {"id": ident, "ok": False, "code": code, "where": None, "hint": None,
                    "what": f"{type(error).__name__}: {_one_line(error)}"}

    def serve(self, requests):
        while not self.leave:
            line = requests.readline(MAX_MESSAGE_BYTES + 1)
            if not line:
                break
            if len(line) > MAX_MESSAGE_BYTES or not line.endswith(b"\n"):
                print(f"{self.runtime.worker} worker: a request is cut short or longer than "
                      "64 MiB", file=sys.stderr)
                return 1
            try:
                request = json.loads(line)
            except ValueError as error:
                print(f"{self.runtime.worker} worker: a request is no JSON: {error}",
                      file=sys.stderr)
                return 1
            self.send(self.answer(request))
        self.do_unload({})
        return 0


def serve(runtime):
    """Does not return."""
    if len(sys.argv) != 1:
        print(f"{os.path.basename(sys.argv[0])} takes no arguments: inferlaw starts it and talks "
              "to it over its standard input (docs/wire.md)", file=sys.stderr)
        sys.exit(2)
    server = _Server(runtime, _REPLIES)
    status = 1
    try:
        server.hello()
        status = server.serve(_REQUESTS)
    except BrokenPipeError:
        status = 0 if server.leave else 1
    except KeyboardInterrupt:
        pass
    sys.stderr.flush()
    # Runtimes leave threads and atexit handlers that can hang; everything was freed or dies here.
    os._exit(status)


_REQUESTS, _REPLIES = _take_descriptors()
