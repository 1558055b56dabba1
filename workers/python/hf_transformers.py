#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The hf worker: PyTorch with transformers behind the worker protocol (docs/python-workers.md).

Two loops. The corrected one, the default: prefill computes the head at the last position (unless
`logits: all`), its argmax feeds the first step, exactly gen_tokens steps follow. And that of the
TR121 study (`compat: tr121`): logits everywhere, the last prompt token fed again, no look at the
prefill's answer.
"""
import inferlaw_worker as iw

import contextlib
import os
import sys
import tempfile

now_ns = iw.now_ns

DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
MOST_DECODERS = 4


def at_least(version, *numbers):
    parts = []
    for part in version.split("+")[0].split(".")[:len(numbers)]:
        digits = "".join(c for c in part if c.isdigit())
        parts.append(int(digits or 0))
    return tuple(parts) >= numbers


class Options:
    """What the load request asks for beside the model, checked before anything is imported."""

    def __init__(self, request):
        given = dict(request.get("options") or {})
        self.launch = iw.pick(given, "launch", ("eager", "compile", "graph"), "eager")
        self.mode = iw.pick(given, "compile_mode", COMPILE_MODES, "default")
        self.attention = iw.pick(given, "attention", ("auto", "eager", "sdpa", "flash"), "auto")
        self.cache = iw.pick(given, "kv_cache", ("auto", "dynamic", "static"), "auto")
        self.tr121 = iw.pick(given, "compat", ("none", "tr121"), "none") == "tr121"
        self.prefill = iw.pick(given, "prefill", ("auto", "eager", "compile", "graph"), "auto")
        self.compile_cache = iw.pick(given, "compile_cache", ("kept", "fresh"), "kept")
        iw.refuse_rest(given, "hf")
        self.device = request["device"]
        self.logits = request["logits"]
        self.dtype = request["dtype"]
        if self.cache == "auto":
            self.cache = "dynamic" if self.launch == "eager" else "static"
        if self.prefill == "auto":
            self.prefill = "compile" if self.launch == "compile" else "eager"
        self.check()

    def check(self):
        if self.device not in ("cpu", "cuda") or self.dtype not in DTYPES:
            raise iw.Failure("UNSUPPORTED", f"the hf worker computes in {', '.join(DTYPES)} on cpu "
                             f"or cuda, not in {self.dtype[:20]} on {self.device[:20]}")
        if self.logits not in ("last", "all"):
            raise iw.Failure("INVALID", "logits: last or all")
        if self.launch == "graph" and self.device != "cuda":
            raise iw.Failure("UNSUPPORTED", "launch: graph captures a CUDA graph, the device is "
                             f"{self.device}", hint="launch: eager or compile, or device: cuda")
        if self.launch == "graph" and self.cache == "dynamic":
            raise iw.Failure("INVALID", "launch: graph needs a cache of fixed size",
                             hint="kv_cache: static")
        if self.prefill not in ("eager", self.launch):
            raise iw.Failure("INVALID", f"prefill: {self.prefill} goes with launch: {self.prefill}")
        if self.tr121 and (self.logits != "all" or self.launch != "eager"):
            raise iw.Failure("INVALID", "compat: tr121 is the original study's loop: logits at "
                             "every prompt position, launched eagerly",
                             hint="logits: all and launch: eager, or leave compat out")


class Hf(iw.Runtime):
    worker = "hf"
    dtypes = tuple(DTYPES)
    devices = ("cpu", "cuda")
    packages = ("transformers", "torch")

    def __init__(self):
        self.model = self.forward = self.job = self.decoder = None
        self.decoders = {}
        self.compiled = None
        self.fresh_cache = None

    # --- load -----------------------------------------------------------------------------------

    def load(self, request, stages):
        self.options = Options(request)
        self.threads = iw.set_threads(request["threads"])
        # Weights are local; no library shall ask a hub, nor count processes of its own.
        os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1",
                          TOKENIZERS_PARALLELISM="false", TRANSFORMERS_VERBOSITY="error",
                          HF_HUB_DISABLE_PROGRESS_BARS="1")
        if self.options.launch == "compile" and self.options.compile_cache == "fresh":
            self.fresh_cache = tempfile.TemporaryDirectory(prefix="inferlaw-inductor-")
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = self.fresh_cache.name
        with stages("import"):
            self.import_runtime()
        with stages("config"):
            self.read_config(request["model"])
        with stages("weights"):
            self.read_weights(request["model"])
        if self.options.device == "cuda":
            with stages("to_device"):
                self.model.to("cuda")
                self.torch.cuda.synchronize()
        if self.options.cache == "static" and not self.hf_decode.takes_cache_objects(self.model):
            raise self.hf_decode.no_static_cache()
        with self.running():
            self.forward = self.hf_decode.Forward(self.model, self.options.logits == "last")
            if self.options.launch != "eager":
                with stages("compile" if self.options.launch == "compile" else "capture"):
                    self.start_compiler()
                    self.decoder_for(request["max_batch"],
                                     request["max_prompt_tok"] + request["max_gen_tok"],
                                     request["max_prompt_tok"])
                    self.synchronize()
        self.most = (request["max_batch"], request["max_prompt_tok"] + request["max_gen_tok"])
        return self.facts()

    def import_runtime(self):
        try:
            import torch
            import transformers
        except (ImportError, OSError) as error:
            raise iw.Failure("NOT_FOUND", f"{sys.executable} cannot load torch and transformers: "
                             f"{error}", hint="`inferlaw runtimes install hf`, or `python:` of the backend "
                             "entry names an interpreter with torch and transformers") from error
        self.torch, self.transformers = torch, transformers
        import hf_decode
        self.hf_decode = hf_decode
        torch.set_num_threads(self.threads)
        if self.options.device == "cuda":
            if not torch.cuda.is_available():
                raise iw.Failure("UNSUPPORTED", f"torch {torch.__version__} finds no CUDA device",
                                 hint="device: cpu, or a torch built for CUDA and a driver")
            torch.cuda.init()
        if hasattr(torch, "set_float32_matmul_precision"):
            torch.set_float32_matmul_precision("highest")
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        self.check_dtype()
        if self.options.launch == "compile" and not hasattr(torch, "compile"):
            raise iw.Failure("UNSUPPORTED", f"torch {torch.__version__} has no torch.compile",
                             hint="launch: eager, or torch 2.1 or newer")

    def check_dtype(self):
        """Whether this torch has kernels for the dtype at all: older ones lack half on the CPU."""
        torch = self.torch
        one = torch.ones(2, 2, dtype=getattr(torch, DTYPES[self.options.dtype]),
                         device=self.options.device)
        try:
            torch.nn.functional.layer_norm(one @ one, (2,))
        except RuntimeError as error:
            raise iw.Failure("UNSUPPORTED", f"torch {torch.__version__} cannot compute in "
                             f"{self.options.dtype} on {self.options.device}: {error}",
                             hint="dtype: fp32 or bf16") from error

    def read_config(self, path):
        if not os.path.isfile(os.path.join(path, "config.json")):
            raise iw.Failure("NOT_FOUND", "the checkpoint directory has no config.json", where=path)
        try:
            self.config = self.transformers.AutoConfig.from_pretrained(path, local_files_only=True)
        except (ValueError, KeyError, OSError) as error:
            raise iw.Failure("UNSUPPORTED", f"transformers {self.transformers.__version__} cannot "
                             f"read this config: {' '.join(str(error).split())[:200]}", where=path,
                             hint="a newer transformers may know the family") from error
        text = self.config.get_text_config() if hasattr(self.config, "get_text_config") else None
        self.text_config = text or self.config
        self.vocab_size = self.text_config.vocab_size
        self.n_positions = getattr(self.text_config, "max_position_embeddings", None)

    def read_weights(self, path):
        dtype = getattr(self.torch, DTYPES[self.options.dtype])
        version = self.transformers.__version__
        more = {"dtype" if at_least(version, 4, 56) else "torch_dtype": dtype}
        wanted = self.options.attention
        self.flash_by_sdpa = False
        if wanted == "flash" and iw.package_version("flash-attn") is None:
            # PyTorch brings a flash kernel of its own; the calls are held to it.
            self.flash_by_sdpa, wanted = True, "sdpa"
        if wanted != "auto":
            more["attn_implementation"] = "flash_attention_2" if wanted == "flash" else wanted
        try:
            self.model, info = self.transformers.AutoModelForCausalLM.from_pretrained(
                path, config=self.config, local_files_only=True, output_loading_info=True, **more)
        except (ImportError, ValueError, OSError) as error:
            text = " ".join(str(error).split())[:200]
            if "attention" in text.lower() or "attn" in text.lower():
                raise iw.Failure("UNSUPPORTED", f"attention: {self.options.attention} cannot be had "
                                 f"here: {text}", hint="attention: auto") from error
            code = "NOT_FOUND" if isinstance(error, OSError) else "UNSUPPORTED"
            raise iw.Failure(code, f"transformers {version} cannot load this checkpoint: {text}",
                             where=path) from error
        except Exception as error:
            if type(error).__name__ != "SafetensorError":
                raise
            raise iw.Failure("DAMAGED", f"the weights cannot be read: {error}", where=path) \
                from error
        # transformers fills what a file lacks with random numbers and goes on.
        lacking = sorted(str(k) for key in ("missing_keys", "mismatched_keys")
                         for k in info.get(key) or ())
        if lacking:
            raise iw.Failure("DAMAGED", f"the checkpoint lacks {len(lacking)} tensors of the model "
                             f"or has them in another shape, the first: {lacking[0][:100]}",
                             where=path)
        self.model.eval()
        self.model.generation_config = None  # nothing of it plays a part
        other = [p.dtype for p in self.model.parameters()
                 if p.is_floating_point() and p.dtype != dtype]
        if other:
            self.model.to(dtype)

    # --- decoders -------------------------------------------------------------------------------

    def start_compiler(self):
        if self.options.launch != "compile":
            return
        import torch._dynamo
        # Every batch size, cache size and prompt length is compiled for itself.
        limits = self.torch._dynamo.config
        for name in ("cache_size_limit", "recompile_limit"):
            if hasattr(limits, name):
                setattr(limits, name, 256)
        sliding = bool(getattr(self.text_config, "sliding_window", None))
        fixed = self.options.cache == "static" and not sliding
        self.compiled = self.torch.compile(self.model, mode=self.options.mode,
                                           dynamic=False if fixed else None)

    def decoder_for(self, batch, context_tok, n_ids):
        hd, opt = self.hf_decode, self.options
        key = (batch, hd.cache_tokens(context_tok, self.n_positions))
        if opt.cache == "dynamic":
            key = (batch, 0)
        decoder = self.decoders.pop(key, None)
        if decoder is None:
            while len(self.decoders) >= MOST_DECODERS:
                self.decoders.pop(next(iter(self.decoders)))
            compiled_prefill = self.compiled if opt.prefill == "compile" else None
            if opt.cache == "dynamic":
                decoder = hd.Growing(self.forward, *key, self.compiled)
            elif opt.launch == "graph":
                decoder = hd.Graph(self.forward, *key, opt.prefill == "graph")
            else:
                decoder = hd.Fixed(self.forward, *key, self.compiled, compiled_prefill)
        self.decoders[key] = decoder
        decoder.warm(n_ids, self.model.device)
        return decoder

    def synchronize(self):
        if self.options.device == "cuda":
            self.torch.cuda.synchronize()

    # --- calls ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def running(self):
        """Around every pass, outside of what is timed."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.torch.no_grad())
            if self.flash_by_sdpa:
                from torch.nn.attention import SDPBackend, sdpa_kernel
                stack.enter_context(sdpa_kernel(SDPBackend.FLASH_ATTENTION))
            try:
                yield
            except RuntimeError as error:
                if self.flash_by_sdpa and "No available kernel" in str(error):
                    raise iw.Failure("UNSUPPORTED", "PyTorch's flash kernel does not take this "
                                     "model", hint="attention: sdpa") from error
                raise

    def prepare(self, job):
        job.check(self.vocab_size, self.n_positions)
        torch = self.torch
        stages = iw.Stages()
        name = {"compile": "compile", "graph": "capture"}.get(self.options.launch)
        with self.running():
            self.ids = torch.tensor(job.ids, dtype=torch.long, device=self.model.device)
            self.pieces = [torch.tensor(piece, dtype=torch.long, device=self.model.device)
                           for piece in job.fill_pieces(self.vocab_size)]
            if job.depth_tok and self.options.prefill == "graph":
                raise iw.Failure("UNSUPPORTED", "a captured prefill begins at an empty cache",
                                 hint="prefill: eager in the options of the backend entry")
            with stages(name or "prepare"):
                self.decoder = self.decoder_for(job.batch, job.context_tok, job.n_ids)
                self.synchronize()
        self.job = job
        self.best = [None] * (job.gen_tokens + 1)
        self.chosen = [None] * (job.gen_tokens + 1)
        self.stamps = [0] * job.gen_tokens
        if self.options.device == "cuda":
            n_events = 3 + (job.gen_tokens if self.options.tr121 else 0)
            self.events = [torch.cuda.Event(enable_timing=True) for _ in range(n_events)]
        # What a shape cost before it could run; a look at what is there already is no stage.
        stages.list = [s for s in stages.list if s["t1_ns"] - s["t0_ns"] > 1000000]
        return {"stages": stages.list} if name else {}

    def before_call(self):
        with self.running():
            self.decoder.reset()
            for piece in self.pieces:
                self.decoder.fill(piece)
        for i in range(len(self.best)):
            self.best[i] = self.chosen[i] = None
        self.synchronize()
        if self.options.device == "cuda":
            self.torch.cuda.reset_peak_memory_stats()

    def call(self, split):
        if self.options.tr121:
            window = self.window_tr121
        elif self.options.launch == "graph":
            window = self.window_graph
        else:
            window = self.window
        with self.running():
            return window(split)

    def window(self, split):
        decoder, ids, best, chosen = self.decoder, self.ids, self.best, self.chosen
        stamps, n, cuda = self.stamps, self.job.gen_tokens, self.options.device == "cuda"
        wait = self.torch.cuda.synchronize if cuda else None
        mark = self.hf_decode.mark_step if cuda and self.compiled is not None else None
        t_first_ns = 0
        t0_ns = now_ns()
        if cuda and split:
            self.events[0].record()
        best[0], chosen[0] = decoder.prefill(ids).max(-1)
        if split:
            if cuda:
                self.events[1].record()
                wait()
            t_first_ns = now_ns()
        for i in range(n):
            if mark:
                mark()
            best[i + 1], chosen[i + 1] = decoder.step(chosen[i].unsqueeze(1)).max(-1)
            if split:
                if cuda:
                    if i + 1 == n:
                        self.events[2].record()
                    wait()
                stamps[i] = now_ns()
        if not split:
            if cuda:
                wait()
            return {"t0_ns": t0_ns, "t_end_ns": now_ns()}
        return self.stamped(t0_ns, t_first_ns, stamps)

    def window_graph(self, split):
        decoder, ids, stamps, n = self.decoder, self.ids, self.stamps, self.job.gen_tokens
        wait, replay = self.torch.cuda.synchronize, decoder.graph.replay
        t_first_ns = 0
        t0_ns = now_ns()
        if split:
            self.events[0].record()
        decoder.choose(decoder.prefill(ids))
        if split:
            self.events[1].record()
            wait()
            t_first_ns = now_ns()
        for i in range(n):
            replay()
            if split:
                if i + 1 == n:
                    self.events[2].record()
                wait()
                stamps[i] = now_ns()
        if not split:
            wait()
            return {"t0_ns": t0_ns, "t_end_ns": now_ns()}
        return self.stamped(t0_ns, t_first_ns, stamps)

    def window_tr121(self, split):
        """The original study's loop. It waits for the device at the ends of prefill and decode
        alone; on CUDA the stamps of the steps come from events."""
        decoder, ids, best, chosen = self.decoder, self.ids, self.best, self.chosen
        stamps, n, cuda = self.stamps, self.job.gen_tokens, self.options.device == "cuda"
        wait = self.torch.cuda.synchronize if cuda else None
        token = ids[:, -1:]
        t_first_ns = 0
        t0_ns = now_ns()
        if cuda and split:
            self.events[0].record()
        logits = decoder.prefill(ids)
        if split:
            if cuda:
                self.events[1].record()
                wait()
            t_first_ns = now_ns()
        for i in range(n):
            best[i + 1], chosen[i + 1] = decoder.step(token).max(-1)
            token = chosen[i + 1].unsqueeze(1)
            if split:
                if cuda:
                    self.events[3 + i].record()
                else:
                    stamps[i] = now_ns()
        if cuda:
            if split:
                self.events[2].record()
            wait()
        t_end_ns = now_ns()
        best[0], chosen[0] = logits.max(-1)[0], ids[:, -1]
        if not split:
            return {"t0_ns": t0_ns, "t_end_ns": t_end_ns}
        if cuda and n:
            self.stamps_of_events(t_first_ns, t_end_ns)
        return self.stamped(t0_ns, t_first_ns, stamps)

    def stamps_of_events(self, t_first_ns, t_end_ns):
        before = t_first_ns
        for i in range(len(self.stamps)):
            at = t_first_ns + int(self.events[1].elapsed_time(self.events[3 + i]) * 1e6)
            before = self.stamps[i] = min(max(at, before), t_end_ns)
        self.stamps[-1] = t_end_ns

    @staticmethod
    def stamped(t0_ns, t_first_ns, stamps):
        return {"t0_ns": t0_ns, "t_first_ns": t_first_ns, "t_step_ns": list(stamps),
                "t_end_ns": stamps[-1] if stamps else t_first_ns}

    def after_call(self, reply):
        torch, n = self.torch, self.job.gen_tokens
        cuda, split = self.options.device == "cuda", "t_first_ns" in reply
        if self.options.launch == "graph":
            best, chosen = self.decoder.best[:, :n + 1], self.decoder.ids[:, :n + 1]
        else:
            best, chosen = torch.stack(self.best, 1), torch.stack(self.chosen, 1)
        bad = (~torch.isfinite(best)).nonzero().tolist()
        if bad:
            row, step = min(bad, key=lambda at: at[1])
            place = "the prefill" if step == 0 else f"decode step {step}"
            raise iw.Failure("NONFINITE", f"a logit of {place} of sequence {row} is not finite, in "
                             f"{self.options.dtype}", hint="dtype: bf16 or fp32 has the range")
        reply["gen_ids"] = chosen.tolist()
        reply.update(prefill_event_ms=None, decode_event_ms=None, gpu_peak_mb=None)
        if cuda:
            reply["gpu_peak_mb"] = torch.cuda.max_memory_allocated() / 1048576
            if split:
                reply["prefill_event_ms"] = self.events[0].elapsed_time(self.events[1])
                if n:
                    reply["decode_event_ms"] = self.events[1].elapsed_time(self.events[2])

    # --- logits ---------------------------------------------------------------------------------

    def logits(self, ids, path):
        """The way the calls go: the first half by a prefill, the rest by decode steps, so that the
        cache and what was compiled or captured are looked at too."""
        iw.check_ids(ids, self.vocab_size)
        if self.n_positions and len(ids) > self.n_positions:
            raise iw.Failure("RANGE", f"{len(ids)} tokens exceed the {self.n_positions} positions "
                             "of the model")
        torch = self.torch
        batch, context = self.most
        n_first = (len(ids) + 1) // 2
        with self.running():
            if self.options.launch == "eager":
                batch = 1
            # The decoder of the largest cell is compiled already; its sequences are all the probe.
            decoder = self.decoder_at(batch, max(context, len(ids)))
            decoder.reset()
            rows = torch.tensor([ids] * batch, dtype=torch.long, device=self.model.device)
            out = [decoder.prefill_all(rows[:, :n_first])[0].float().cpu()]
            for i in range(n_first, len(ids)):
                out.append(decoder.step(rows[:, i:i + 1])[:1].float().cpu())
            table = torch.cat(out)
        if not torch.isfinite(table).all():
            at = (~torch.isfinite(table)).any(1).nonzero()[0].item()
            raise iw.Failure("NONFINITE", f"a logit of position {at} is not finite, in "
                             f"{self.options.dtype}", hint="dtype: bf16 or fp32 has the range")
        iw.write_rows(path, table.contiguous().numpy().tobytes())
        return table.shape[0], table.shape[1]

    def decoder_at(self, batch, context_tok):
        key = (batch, self.hf_decode.cache_tokens(context_tok, self.n_positions))
        key = key if self.options.cache == "static" else (batch, 0)
        return self.decoders.get(key) or self.decoder_for(batch, context_tok, 1)

    def unload(self):
        self.model = self.forward = self.job = self.decoder = self.compiled = None
        self.decoders = {}
        self.ids = self.pieces = self.best = self.chosen = None
        torch = sys.modules.get("torch")
        if torch is not None and hasattr(torch, "_dynamo") and "torch._dynamo" in sys.modules:
            torch._dynamo.reset()
        if torch is not None and torch.cuda.is_available():
            torch.cuda.empty_cache()
        if self.fresh_cache is not None:
            self.fresh_cache.cleanup()
            self.fresh_cache = None

    # --- facts ----------------------------------------------------------------------------------

    def facts(self):
        torch, opt, config = self.torch, self.options, self.text_config
        parameters = list(self.model.parameters())
        attention = getattr(self.model.config, "_attn_implementation", None) or "unknown"
        facts = {
            "dtype": opt.dtype, "device": opt.device, "threads": self.threads,
            "logits": opt.logits, "logits_how": self.forward.how,
            "loop": "tr121" if opt.tr121 else "corrected",
            "launch": opt.launch, "compile_mode": opt.mode if opt.launch == "compile" else None,
            "compile_cache": opt.compile_cache if opt.launch == "compile" else None,
            "prefill": opt.prefill, "kv_cache": opt.cache,
            "attention": "flash kernel of sdpa" if self.flash_by_sdpa else attention,
            "params_total": sum(p.numel() for p in parameters),
            "weight_bytes": sum(p.numel() * p.element_size() for p in parameters),
            "vocab_size": self.vocab_size, "n_positions": self.n_positions,
            "n_layer": getattr(config, "num_hidden_layers", None),
            "d_model": getattr(config, "hidden_size", None),
            "n_head": getattr(config, "num_attention_heads", None),
            "transformers": self.transformers.__version__, "torch": torch.__version__,
            "python": sys.version.split()[0], "denormals": "kept", "autograd": "no_grad",
            "intra_op_threads": torch.get_num_threads(),
            "mkl": torch.backends.mkl.is_available(),
            "mkldnn": torch.backends.mkldnn.is_available(),
            "cpu_capability": self.cpu_capability(),
            "allow_tf32": torch.backends.cuda.matmul.allow_tf32,
            "float32_matmul_precision": (torch.get_float32_matmul_precision()
                                         if hasattr(torch, "get_float32_matmul_precision")
                                         else None),
        }
        if opt.device == "cuda":
            facts.update(cuda=torch.version.cuda, device_name=torch.cuda.get_device_name(),
                         cudnn=torch.backends.cudnn.version())
        return facts

    def cpu_capability(self):
        backend = getattr(self.torch.backends, "cpu", None)
        get = getattr(backend, "get_cpu_capability", None)
        return get() if get else None


if __name__ == "__main__":
    iw.serve(Hf())
