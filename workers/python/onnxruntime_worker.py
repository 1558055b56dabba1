#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The onnxruntime worker: ONNX Runtime behind the worker protocol (docs/python-workers.md).

Inputs and outputs are bound by address before the clock runs, one binding a step: the cache lives
in two sets of buffers on the device, a step reads one and writes the other, and on a GPU the
argmax is computed there too. What is timed is the runs alone.
"""
import inferlaw_worker as iw

import os
import re
import sys

now_ns = iw.now_ns

PROVIDERS = {"cpu": ["CPUExecutionProvider"],
             "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"],
             "tensorrt": ["TensorrtExecutionProvider", "CUDAExecutionProvider",
                          "CPUExecutionProvider"]}
TYPES = {"tensor(float)": "fp32", "tensor(float16)": "fp16", "tensor(bfloat16)": "bf16"}
# What ONNX Runtime itself puts on the CPU of a GPU session: arithmetic on shapes, a few numbers.
SHAPE_OPS = {"Shape", "Gather", "Unsqueeze", "Squeeze", "Concat", "Slice", "Cast", "Range", "Add",
             "Sub", "Mul", "Div", "Equal", "Where", "ConstantOfShape", "Reshape", "Constant",
             "Expand", "Size", "ReduceSum", "ReduceProd", "Greater", "Less", "Not", "And", "Or"}


# --- a small model of our own: the argmax on the device -------------------------------------------


def _varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field, value):
    return _varint(field << 3) + _varint(value)


def _bytes(field, value):
    value = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def argmax_model(elem_type, batch, vocab):
    """ONNX bytes of logits [batch, 1, vocab] -> ids [batch, 1] int64, best [batch, 1]. The field
    numbers are those of onnx.proto."""
    def tensor(name, kind, dims):
        shape = b"".join(_bytes(1, _number(1, d)) for d in dims)
        return _bytes(1, name) + _bytes(2, _bytes(1, _number(1, kind) + _bytes(2, shape)))

    def attribute(name, kind, body):
        return _bytes(5, _bytes(1, name) + body + _number(20, kind))

    keep = attribute("keepdims", 2, _number(3, 0))
    top = _bytes(1, "logits") + _bytes(2, "ids") + _bytes(4, "ArgMax") + \
        attribute("axis", 2, _number(3, -1)) + keep
    best = _bytes(1, "logits") + _bytes(2, "best") + _bytes(4, "ReduceMax") + \
        attribute("axes", 7, _number(8, -1)) + keep
    graph = (_bytes(1, top) + _bytes(1, best) + _bytes(2, "argmax")
             + _bytes(11, tensor("logits", elem_type, (batch, 1, vocab)))
             + _bytes(12, tensor("ids", 7, (batch, 1)))
             + _bytes(12, tensor("best", elem_type, (batch, 1))))
    return _number(1, 8) + _bytes(8, _bytes(1, "") + _number(2, 13)) + _bytes(7, graph)


# --- buffers ------------------------------------------------------------------------------------


class Buffer:
    """Memory on the session's device, addressed from Python. On the CPU a NumPy array."""

    def __init__(self, ort, np, device, shape, dtype):
        self.dtype, self.shape, self.device = np.dtype(dtype), tuple(shape), device
        self.value = self.array = None
        if device == "cpu":
            self.array = np.zeros(self.shape, self.dtype)
            self.pointer = self.array.ctypes.data
        else:
            self.value = ort.OrtValue.ortvalue_from_shape_and_type(list(shape), self.dtype.type,
                                                                   device, 0)
            self.pointer = self.value.data_ptr()

    def put(self, array):
        if self.array is not None:
            self.array[...] = array
        else:
            self.value.update_inplace(array)

    def get(self):
        return self.array if self.array is not None else self.value.numpy()


class Graph:
    """Names, shapes and types of an exported decoder, read from its session."""

    def __init__(self, session, path):
        self.inputs = {i.name: i for i in session.get_inputs()}
        outputs = {o.name: o for o in session.get_outputs()}
        self.past, self.present = {}, {}
        for name in self.inputs:
            self.file(self.past, name)
        for name in outputs:
            self.file(self.present, name)
        if "input_ids" not in self.inputs or "logits" not in outputs or not self.past \
                or set(self.past) != set(self.present):
            raise iw.Failure("UNSUPPORTED", "this ONNX file is no decoder with a cache: it needs "
                             "input_ids, past_key_values.N.key and .value, and gives logits and "
                             "present.N.key and .value", where=path,
                             hint="`inferlaw model convert --format onnx` makes one")
        rest = set(self.inputs) - set(self.past.values()) - {
            "input_ids", "attention_mask", "position_ids", "past_length", "logits_from"}
        if rest:
            raise iw.Failure("UNSUPPORTED", "this ONNX file wants an input that is not known here: "
                             f"{sorted(rest)[0]}", where=path)
        first = self.inputs[next(iter(self.past.values()))]
        self.kv_type = first.type
        self.logits_type = outputs["logits"].type
        shape = outputs["logits"].shape
        self.vocab_size = shape[-1] if isinstance(shape[-1], int) else None
        self.meta = dict(session.get_modelmeta().custom_metadata_map or {})
        # Files of our own exporter take the first position of the head as an input, and give its
        # argmax; their cache may be one buffer that is read and written in place.
        self.selects = "logits_from" in self.inputs
        self.gives_ids = "next_ids" in outputs
        self.shared = self.meta.get("inferlaw.cache") == "shared"
        said = self.meta.get("inferlaw.logits")
        self.logits_at = said if said in ("last", "all") else "last" if shape[1] == 1 else "all"
        positions = self.meta.get("inferlaw.positions", "")
        self.n_positions = int(positions) if positions.isdigit() else None

    @staticmethod
    def file(table, name):
        match = re.match(r"(?:past_key_values|past|present_key_values|present)\.(\d+)\."
                         r"(?:decoder\.)?(key|value)$", name)
        if match:
            table[(int(match.group(1)), match.group(2))] = name

    def cache_dims(self, key, path):
        shape = self.inputs[self.past[key]].shape
        if len(shape) != 4 or not isinstance(shape[1], int) or not isinstance(shape[3], int):
            raise iw.Failure("UNSUPPORTED", f"the cache input {self.past[key]} is not [batch, "
                             "kv_heads, past, head_dim]", where=path)
        return shape[1], shape[3]


class OnnxRuntime(iw.Runtime):
    worker = "onnxruntime"
    dtypes = ("fp32", "fp16")
    devices = ("cpu", "cuda")
    packages = ("onnxruntime",)

    def __init__(self):
        # The GPU's package has another name and the same module.
        if iw.package_version("onnxruntime") is None:
            self.packages = ("onnxruntime-gpu",)
        self.session = self.job = None

    # --- load -----------------------------------------------------------------------------------

    def load(self, request, stages):
        options = dict(request.get("options") or {})
        provider = iw.pick(options, "provider", ("auto", "cpu", "cuda", "tensorrt"), "auto")
        self.spinning = iw.pick(options, "spinning", (True, False), True)
        iw.refuse_rest(options, "onnxruntime")
        device = request["device"]
        if device not in ("cpu", "cuda"):
            raise iw.Failure("UNSUPPORTED", f"the onnxruntime worker knows no device {device[:20]}")
        self.provider = device if provider == "auto" else provider
        self.device = "cpu" if self.provider == "cpu" else "cuda"
        if self.device != device:
            raise iw.Failure("INVALID", f"provider {provider} does not compute on {device}")
        self.dtype = request["dtype"]
        self.threads = iw.set_threads(request["threads"])
        path = self.find_file(request["model"])
        with stages("import"):
            self.import_runtime()
        with stages("session"):
            self.open_session(path)
        self.graph = Graph(self.session, path)
        have = TYPES.get(self.graph.kv_type, self.graph.kv_type)
        if have != self.dtype:
            raise iw.Failure("UNSUPPORTED", f"this ONNX file computes in {have}, asked for is "
                             f"{self.dtype}", where=path,
                             hint=f"dtype: {have}, or a file made for {self.dtype}")
        if self.graph.selects:
            self.graph.logits_at = request["logits"]
        if self.graph.logits_at != request["logits"]:
            raise iw.Failure("UNSUPPORTED", "the head of this ONNX file is computed at "
                             f"{self.graph.logits_at} position(s) of the prompt, asked for is "
                             f"{request['logits']}", where=path,
                             hint=f"logits: {self.graph.logits_at} on the backend entry")
        self.path = path
        return self.facts(path)

    @staticmethod
    def find_file(path):
        if os.path.isfile(path):
            return path
        for name in ("model.onnx", os.path.join("onnx", "model.onnx")):
            if os.path.isfile(os.path.join(path, name)):
                return os.path.join(path, name)
        raise iw.Failure("NOT_FOUND", "there is no ONNX file", where=path,
                         hint="`inferlaw model convert --format onnx` makes one")

    def import_runtime(self):
        try:
            import numpy
            import onnxruntime
        except (ImportError, OSError) as error:
            raise iw.Failure("NOT_FOUND", f"{sys.executable} cannot load onnxruntime: {error}",
                             hint="`inferlaw runtimes install onnxruntime`, or `python:` of the "
                             "backend entry names an interpreter that has it") from error
        self.np, self.ort = numpy, onnxruntime
        if self.device == "cuda" and hasattr(onnxruntime, "preload_dlls"):
            try:
                onnxruntime.preload_dlls()  # CUDA libraries that came as Python packages
            except Exception as error:
                print(f"onnxruntime worker: CUDA libraries: {error}", file=sys.stderr)

    def open_session(self, path):
        ort = self.ort
        wanted = PROVIDERS[self.provider]
        missing = [p for p in wanted if p not in ort.get_available_providers()]
        if missing:
            raise iw.Failure("UNSUPPORTED", f"this ONNX Runtime has no {missing[0]}, it has "
                             + ", ".join(ort.get_available_providers()),
                             hint="pip package onnxruntime-gpu in an interpreter that `python:` "
                             "names; or provider: cpu with device: cpu")
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.add_session_config_entry("session.intra_op.allow_spinning",
                                         "1" if self.spinning else "0")
        given = wanted
        if self.device == "cuda":
            options.log_severity_level = 0  # the placement of nodes is told in the log alone
            given = [(p, {"use_tf32": "0"}) if p == "CUDAExecutionProvider" else p for p in wanted]
        with _Captured(self.device == "cuda") as log:
            try:
                self.session = ort.InferenceSession(path, options, providers=given)
            except Exception as error:
                text = " ".join(str(error).split())[:220]
                if iw.out_of_memory(error):
                    raise
                raise iw.Failure("UNSUPPORTED", f"ONNX Runtime cannot open the model: {text}",
                                 where=path) from error
        got = self.session.get_providers()
        lost = [p for p in wanted if p not in got]
        if lost:
            raise iw.Failure("UNSUPPORTED", f"ONNX Runtime fell back silently: {lost[0]} was asked "
                             f"for, the session has {', '.join(got)}",
                             hint="most often CUDA or cuDNN libraries of the right version are "
                             "missing; its standard error says which")
        self.session.disable_fallback()
        self.on_cpu = placed_on_cpu(log.text) if self.device == "cuda" else None
        heavy = sorted(set(self.on_cpu or ()) - SHAPE_OPS)
        if heavy:
            raise iw.Failure("UNSUPPORTED", f"ONNX Runtime computes {', '.join(heavy)[:120]} of "
                             "this model on the CPU, not on the GPU",
                             hint="a newer onnxruntime-gpu, or another dtype, may have the kernel")

    # --- prepare --------------------------------------------------------------------------------

    def buffer(self, shape, dtype):
        return Buffer(self.ort, self.np, self.device, shape, dtype)

    def numpy_type(self, onnx_type):
        return {"tensor(float)": self.np.float32, "tensor(float16)": self.np.float16}[onnx_type]

    def prepare(self, job):
        np, graph = self.np, self.graph
        self.plan = None
        job.check(graph.vocab_size, graph.n_positions)
        self.plan = Plan(self, job.batch, job.n_ids, job.gen_tokens, job.depth_tok)
        self.plan.prompt.put(np.asarray(job.ids, np.int64))
        self.pieces = [np.asarray(piece, np.int64) for piece in job.fill_pieces(graph.vocab_size)]
        self.job = job
        self.stamps = [0] * job.gen_tokens
        if self.provider != "tensorrt":
            return {}
        stages = iw.Stages()
        with stages("compile"):  # engines are built when a shape is first seen
            self.before_call()
            self.plan.run()
        return {"stages": stages.list}

    def before_call(self):
        done = 0
        for piece in self.pieces:
            self.plan.fill(piece, done)
            done += piece.shape[1]

    # --- calls ----------------------------------------------------------------------------------

    def call(self, split):
        plan, stamps, n = self.plan, self.stamps, self.job.gen_tokens
        prefill, step = plan.prefill, plan.step
        t_first_ns = 0
        t0_ns = now_ns()
        prefill()
        if split:
            t_first_ns = now_ns()
        for i in range(n):
            step(i)
            if split:
                stamps[i] = now_ns()
        if not split:
            return {"t0_ns": t0_ns, "t_end_ns": now_ns()}
        return {"t0_ns": t0_ns, "t_first_ns": t_first_ns, "t_step_ns": list(stamps),
                "t_end_ns": stamps[-1] if n else t_first_ns}

    def after_call(self, reply):
        ids, best = self.plan.answers()
        bad = self.np.argwhere(~self.np.isfinite(best))
        if len(bad):
            step, row = bad[0][0], bad[0][1]
            place = "the prefill" if step == 0 else f"decode step {step}"
            raise iw.Failure("NONFINITE", f"a logit of {place} of sequence {row} is not finite, in "
                             f"{self.dtype}", hint="dtype: fp32 has the range")
        reply["gen_ids"] = ids.T.tolist()
        reply.update(prefill_event_ms=None, decode_event_ms=None, gpu_peak_mb=None)

    # --- logits ---------------------------------------------------------------------------------

    def logits(self, ids, path):
        """The first half of the rows by prefills, the rest by decode steps."""
        np, graph = self.np, self.graph
        iw.check_ids(ids, graph.vocab_size)
        n_first = (len(ids) + 1) // 2
        table = np.zeros((len(ids), graph.vocab_size or 0), np.float32)
        everywhere = graph.selects or graph.logits_at == "all"
        for n in [n_first] if everywhere else range(1, n_first + 1):
            plan = Plan(self, 1, n, len(ids) - n, 0, everywhere)
            plan.prompt.put(np.asarray([ids[:n]], np.int64))
            plan.prefill()
            got = plan.prompt_logits.get()[0].astype(np.float32)
            table[n - got.shape[0]:n] = got
        for i in range(n_first, len(ids)):
            plan.feed(i - n_first, ids[i])
            plan.step(i - n_first)
            table[i] = plan.logits.get()[0, 0].astype(np.float32)
        if not np.isfinite(table).all():
            at = int(np.argwhere(~np.isfinite(table).all(1))[0][0])
            raise iw.Failure("NONFINITE", f"a logit of position {at} is not finite, in "
                             f"{self.dtype}", hint="dtype: fp32 has the range")
        iw.write_rows(path, table.tobytes())
        return table.shape

    def unload(self):
        self.plan = self.session = self.job = self.graph = None

    def facts(self, path):
        ort, graph = self.ort, self.graph
        data = sum(os.path.getsize(os.path.join(os.path.dirname(path), name))
                   for name in os.listdir(os.path.dirname(path))
                   if name.startswith(os.path.basename(path)))
        build = getattr(ort, "get_build_info", lambda: None)()
        return {"dtype": self.dtype, "device": self.device, "threads": self.threads,
                "provider": self.provider, "providers": self.session.get_providers(),
                "operators": graph.meta.get("inferlaw.ops"),
                "provider_options": {k: dict(v) for k, v in
                                     self.session.get_provider_options().items()},
                "nodes_on_cpu": self.on_cpu, "logits": graph.logits_at, 
                "kv_cache": "one set of buffers, written in place" if graph.shared
                else "grown by concatenation, two sets of buffers", "spinning": self.spinning,
                "argmax": "on the CPU" if self.device == "cpu" else "on the device",
                "vocab_size": graph.vocab_size, "n_positions": graph.n_positions,
                "n_layer": len(graph.past) // 2, "file": os.path.basename(path),
                "file_bytes": data, "metadata": graph.meta, "onnxruntime": ort.__version__,
                "build": build, "numpy": self.np.__version__, "python": sys.version.split()[0]}


class Plan:
    """Buffers and bindings of one cell: nothing is bound or allocated while it runs."""

    def __init__(self, owner, batch, n_ids, gen_tokens, depth_tok, everywhere=None):
        np, graph = owner.np, owner.graph
        self.owner, self.np, self.graph, self.session = owner, np, graph, owner.session
        self.batch, self.n_ids, self.n = batch, n_ids, gen_tokens
        self.all_rows = np.arange(batch)
        longest = depth_tok + n_ids + gen_tokens
        kv = owner.numpy_type(graph.kv_type)
        self.kv = kv
        self.everywhere = graph.logits_at == "all" if everywhere is None else everywhere
        self.kept = []  # small inputs, which bindings know by address alone
        self.sides = []
        for _ in range(1 if graph.shared else 2):
            side = {}
            for key in graph.past:
                heads, width = graph.cache_dims(key, owner.path)
                side[key] = owner.buffer((batch, heads, longest, width), kv)
            self.sides.append(side)
        self.sides = self.sides * 2 if graph.shared else self.sides
        self.longest = longest
        self.prompt = owner.buffer((batch, n_ids), np.int64)
        self.ids = owner.buffer((gen_tokens + 1, batch), np.int64)
        self.mask = owner.buffer((batch, longest), np.int64)
        self.mask.put(np.ones((batch, longest), np.int64))
        self.places = owner.buffer((longest, batch), np.int64)
        self.places.put(np.repeat(np.arange(longest, dtype=np.int64), batch).reshape(longest, batch))
        # Places of a prompt are wanted row by row, those of a step one a sequence.
        self.prompt_places = owner.buffer((batch, n_ids), np.int64)
        self.prompt_places.put(np.tile(np.arange(depth_tok, depth_tok + n_ids, dtype=np.int64),
                                       (batch, 1)))
        self.out_type = owner.numpy_type(graph.logits_type)
        rows = n_ids if self.everywhere else 1
        vocab = graph.vocab_size
        self.logits = owner.buffer((batch, 1, vocab), self.out_type)
        self.prompt_logits = self.logits if rows == 1 else \
            owner.buffer((batch, rows, vocab), self.out_type)
        self.best = owner.buffer((gen_tokens + 1, batch), self.out_type)
        # Where the file has no argmax, a GPU gets one from a session of its own.
        self.tops = self.bind_tops() if owner.device == "cuda" and not graph.gives_ids else None
        self.prompt_next = owner.buffer((batch, rows), np.int64) if rows > 1 else None
        # The side that holds the filled depth is known: an even number of pieces leaves it at 0.
        pieces = (depth_tok + iw.FILL_TOK - 1) // iw.FILL_TOK
        side = pieces % 2
        self.first = self.bind(self.prompt.pointer, n_ids, depth_tok, side,
                               self.prompt_places.pointer, self.prompt_logits, rows,
                               self.prompt_next.pointer if rows > 1 else self.ids.pointer)
        self.steps = []
        for i in range(gen_tokens):
            side ^= 1
            past = depth_tok + n_ids + i
            self.steps.append(self.bind(self.ids.pointer + i * batch * 8, 1, past, side,
                                        self.places.pointer + past * batch * 8, self.logits, 1,
                                        self.ids.pointer + (i + 1) * batch * 8))

    def number(self, value):
        """The address of one number, on the host: the graph's shapes follow from it."""
        array = self.np.array([value], self.np.int64)
        self.kept.append(array)
        return array.ctypes.data

    def bind(self, ids_pointer, n_ids, past, side, places_pointer, logits, rows, next_pointer):
        np, graph, device = self.np, self.graph, self.owner.device
        binding = self.session.io_binding()

        def give(name, dtype, shape, pointer):
            if name in graph.inputs:
                binding.bind_input(name, device, 0, dtype, shape, pointer)

        give("input_ids", np.int64, [self.batch, n_ids], ids_pointer)
        give("attention_mask", np.int64, [self.batch, past + n_ids], self.mask.pointer)
        give("position_ids", np.int64, [self.batch, n_ids], places_pointer)
        for name, value in (("past_length", past), ("logits_from", 0 if rows > 1 else -1)):
            if name in graph.inputs:
                binding.bind_input(name, "cpu", 0, np.int64, [1], self.number(value))
        if graph.gives_ids:
            binding.bind_output("next_ids", device, 0, np.int64, [self.batch, rows], next_pointer)
        for key in graph.past:
            source, target = self.sides[side][key], self.sides[side ^ 1][key]
            heads, width = source.shape[1], source.shape[3]
            before, behind = (self.longest, self.longest) if graph.shared else (past, past + n_ids)
            give(graph.past[key], self.kv, [self.batch, heads, before, width], source.pointer)
            binding.bind_output(graph.present[key], device, 0, self.kv,
                                [self.batch, heads, behind, width], target.pointer)
        binding.bind_output("logits", device, 0, self.out_type,
                            [self.batch, rows, graph.vocab_size], logits.pointer)
        return binding

    def bind_tops(self):
        ort, np = self.owner.ort, self.np
        options = ort.SessionOptions()
        options.log_severity_level = 3
        elem = 1 if self.out_type is np.float32 else 10
        model = argmax_model(elem, self.batch, self.graph.vocab_size)
        self.top = ort.InferenceSession(model, options, providers=PROVIDERS["cuda"])
        out = []
        for i in range(self.n + 1):
            binding = self.top.io_binding()
            binding.bind_input("logits", "cuda", 0, self.out_type,
                               [self.batch, 1, self.graph.vocab_size], self.logits.pointer)
            binding.bind_output("ids", "cuda", 0, np.int64, [self.batch, 1],
                                self.ids.pointer + i * self.batch * 8)
            binding.bind_output("best", "cuda", 0, self.out_type, [self.batch, 1],
                                self.best.pointer + i * self.batch * self.best.dtype.itemsize)
            out.append(binding)
        return out

    def fill(self, piece, done):
        """Untimed: a piece of the depth, from the cache's side where the last one left it."""
        np, owner = self.np, self.owner
        n = piece.shape[1]
        ids = owner.buffer(piece.shape, np.int64)
        ids.put(piece)
        places = owner.buffer(piece.shape, np.int64)
        places.put(np.tile(np.arange(done, done + n, dtype=np.int64), (self.batch, 1)))
        rows = n if self.everywhere else 1
        logits = owner.buffer((self.batch, rows, self.graph.vocab_size), self.out_type)
        chosen = owner.buffer((self.batch, rows), np.int64)
        side = (done // iw.FILL_TOK) % 2
        self.session.run_with_iobinding(self.bind(ids.pointer, n, done, side, places.pointer,
                                                  logits, rows, chosen.pointer))

    def choose(self, i, logits):
        """The most likely token of every sequence becomes row i of ids."""
        if self.graph.gives_ids:
            if logits is not self.logits:
                self.feed(i, self.prompt_next.get()[:, -1])
            if self.best.array is not None:
                self.best.array[i] = logits.array[self.rows(), -1, self.ids.array[i]]
            return
        if self.tops and logits is self.logits:
            self.top.run_with_iobinding(self.tops[i])
            return
        last = logits.get()[:, -1]
        top = last.argmax(-1)
        best = last[self.rows(), top]
        if self.tops is None:
            self.ids.array[i], self.best.array[i] = top, best
        else:  # logits everywhere, on a GPU: one copy to the host, of the prefill alone
            self.ids_at(i, top, best)

    def rows(self):
        return self.all_rows

    def ids_at(self, i, top, best):
        ids, bests = self.ids.get().copy(), self.best.get().copy()
        ids[i], bests[i] = top, best
        self.ids.put(ids)
        self.best.put(bests)

    def feed(self, i, token):
        ids = self.ids.get().copy()
        ids[i] = token
        self.ids.put(ids)

    def prefill(self):
        self.session.run_with_iobinding(self.first)
        self.choose(0, self.prompt_logits)

    def step(self, i):
        self.session.run_with_iobinding(self.steps[i])
        self.choose(i + 1, self.logits)

    def run(self):
        self.prefill()
        for i in range(self.n):
            self.step(i)

    def answers(self):
        """(ids, largest logits). Where a GPU keeps the logits of the last step alone, those stand
        for all steps: what is not finite goes on through the cache."""
        best = self.best.get().astype(self.np.float64)
        if self.graph.gives_ids and self.best.array is None:
            best = best * 0
            best[-1] = self.logits.get()[:, 0].max(-1) if self.n else best[-1]
        return self.ids.get(), best


class _Captured:
    """Standard error of a block of code, when wanted; errors in it are passed on afterwards."""

    def __init__(self, wanted):
        self.wanted, self.text = wanted, ""

    def __enter__(self):
        if self.wanted:
            import tempfile
            self.file = tempfile.TemporaryFile()
            sys.stderr.flush()
            self.saved = os.dup(2)
            os.dup2(self.file.fileno(), 2)
        return self

    def __exit__(self, kind, value, trace):
        if self.wanted:
            os.dup2(self.saved, 2)
            os.close(self.saved)
            self.file.seek(0)
            self.text = self.file.read().decode("utf-8", "replace")
            self.file.close()
            for line in self.text.splitlines():
                if "[E:" in line or "[W:" in line:
                    print(line, file=sys.stderr)


def placed_on_cpu(log):
    """Operator types that the log of a session says are computed by the CPU provider."""
    ops, inside = set(), False
    for line in log.splitlines():
        if "Node(s) placed on" in line or "nodes have been placed on" in line:
            inside = "CPUExecutionProvider" in line
        elif inside:
            match = re.search(r"\]\s+([A-Z][A-Za-z0-9]*) \(", line) or \
                re.match(r"\s*([A-Z][A-Za-z0-9]*) \(", line)
            if match:
                ops.add(match.group(1))
            elif line.strip():
                inside = False
    return sorted(ops)


if __name__ == "__main__":
    iw.serve(OnnxRuntime())
