# SPDX-License-Identifier: Apache-2.0
"""How the transformers worker runs a forward pass: with a cache that grows or one of fixed size,
eagerly, compiled by torch.compile, or with the decode step captured as a CUDA graph.

A decoder belongs to one batch size and one cache size. Its calls follow each other as
reset, fill*, prefill, step*; prefill and step return the logits of the last position, [batch, vocab].
"""
import copy
import inspect

import torch

from inferlaw_worker import Failure

CACHE_STEP_TOK = 64  # fixed caches are multiples of this: prompts of similar length share one


def cache_tokens(context_tok, n_positions):
    size = (context_tok + CACHE_STEP_TOK - 1) // CACHE_STEP_TOK * CACHE_STEP_TOK
    return max(context_tok, min(size, n_positions)) if n_positions else size


class Forward:
    """The model's forward pass, with the head at the last position alone where it is asked for."""

    def __init__(self, model, last_only):
        self.model = model
        self.takes = set(inspect.signature(model.forward).parameters)
        self.last_only = last_only
        self.how = "all"
        if last_only:
            self.how = next((name for name in ("logits_to_keep", "num_logits_to_keep")
                             if name in self.takes), "head on the last hidden state")
        self.keep = {self.how: 1} if self.how in self.takes else {}
        if last_only and not self.keep:
            self.check_slicing()

    def sliced(self, ids, past):
        out = self.model.base_model(input_ids=ids, past_key_values=past, use_cache=True)
        head = self.model.get_output_embeddings()
        return head(out.last_hidden_state[:, -1:]), out.past_key_values

    def check_slicing(self):
        """An older transformers computes the head everywhere. Body and head are called apart, where
        that gives the same numbers: some families scale or cap in between."""
        ids = torch.tensor([[1, 2]], device=self.model.device)
        try:
            part, _ = self.sliced(ids, None)
            whole = self.model(input_ids=ids, use_cache=True).logits[:, -1:]
            same = torch.allclose(part.float(), whole.float(), rtol=1e-3, atol=1e-3)
        except (AttributeError, TypeError):
            same = False
        if not same:
            raise Failure("UNSUPPORTED", "this transformers computes the head at every prompt "
                          "position of this family", hint="`logits: all` on the backend entry "
                          "measures that; a newer transformers can leave them out")

    def __call__(self, ids, past, call=None, **more):
        """(logits [batch, n or 1, vocab], cache). call: a compiled stand-in for the model."""
        if self.last_only and not self.keep:
            return self.sliced(ids, past)
        out = (self.model if call is None else call)(input_ids=ids, past_key_values=past, use_cache=True,
                                   **self.keep, **more)
        return out.logits, out.past_key_values

    def everywhere(self, ids, past, **more):
        out = self.model(input_ids=ids, past_key_values=past, use_cache=True, **more)
        return out.logits, out.past_key_values


class Growing:
    """The cache grows with every step: what transformers does by default."""

    launch, cache_kind = "eager", "dynamic"

    def __init__(self, forward, batch, cache_tok, compiled=None):
        self.forward, self.batch, self.cache_tok, self.compiled = forward, batch, cache_tok, compiled
        self.past = None

    def warm(self, n_ids, device):
        """Compiles, where there is something to compile."""
        if self.compiled is not None:
            for _ in range(2):
                self.reset()
                token = self.prefill(torch.ones(self.batch, n_ids, dtype=torch.long, device=device))
                for _ in range(3):
                    token = self.step(token.argmax(-1, keepdim=True))

    def reset(self):
        self.past = None

    def fill(self, ids):
        _, self.past = self.forward(ids, self.past)

    def prefill(self, ids):
        logits, self.past = self.forward(ids, self.past, self.compiled)
        return logits[:, -1]

    def prefill_all(self, ids):
        logits, self.past = self.forward.everywhere(ids, self.past)
        return logits

    def step(self, token):
        logits, self.past = self.forward(token, self.past, self.compiled)
        return logits[:, -1]


class Fixed:
    """A cache of fixed size, so that every step has the same shapes; compiled or not."""

    launch, cache_kind = "eager", "static"

    def __init__(self, forward, batch, cache_tok, compiled=None, prefill_compiled=None):
        self.forward, self.batch, self.cache_tok = forward, batch, cache_tok
        self.compiled, self.prefill_compiled = compiled, prefill_compiled
        self.device = forward.model.device
        self.cache = make_static_cache(forward.model, batch, cache_tok)
        self.pos = torch.zeros(1, dtype=torch.long, device=self.device)
        self.warmed = set()
        # A first eager pass gives the cache its tensors, outside of any compiled region.
        self.forward(torch.ones(batch, 1, dtype=torch.long, device=self.device), self.cache,
                     **self.places(self.pos))

    def places(self, pos):
        """Where the tokens stand, as tensors on the device: reading them there would stall."""
        more = {}
        if "position_ids" in self.forward.takes:
            more["position_ids"] = pos.unsqueeze(0)
        if "cache_position" in self.forward.takes:
            more["cache_position"] = pos
        return more

    def range(self, n):
        """Places of the next n tokens, of which the cache then holds pos + n."""
        return torch.arange(n, device=self.device) + self.pos

    def reset(self):
        self.cache.reset()
        self.pos.zero_()

    def fill(self, ids):
        self.forward(ids, self.cache, **self.places(self.range(ids.shape[1])))
        self.pos.add_(ids.shape[1])

    def prefill(self, ids):
        logits, _ = self.forward(ids, self.cache, self.prefill_compiled,
                                 **self.places(self.range(ids.shape[1])))
        self.pos.add_(ids.shape[1])
        return logits[:, -1]

    def prefill_all(self, ids):
        logits, _ = self.forward.everywhere(ids, self.cache,
                                            **self.places(self.range(ids.shape[1])))
        self.pos.add_(ids.shape[1])
        return logits

    def step(self, token):
        logits, _ = self.forward(token, self.cache, self.compiled, **self.places(self.pos))
        self.pos.add_(1)
        return logits[:, -1]

    def warm(self, n_ids, device):
        """Compiles prefill for this length, and the step; both run until nothing is compiled
        any more (a third pass, since reduce-overhead records in its second)."""
        if self.compiled is None or n_ids in self.warmed:
            return
        for _ in range(3):
            self.reset()
            mark_step()
            logits = self.prefill(torch.ones(self.batch, n_ids, dtype=torch.long, device=device))
            for _ in range(3 if self.cache_tok - n_ids >= 3 else self.cache_tok - n_ids):
                token = logits.argmax(-1, keepdim=True)
                mark_step()
                logits = self.step(token)
        self.reset()
        self.warmed.add(n_ids)


class Graph(Fixed):
    """One step, argmax included, captured as a CUDA graph and replayed; what a step chose stays on
    the device and feeds the next one. The prefill too, per length, where that is asked for."""

    launch = "graph"

    def __init__(self, forward, batch, cache_tok, capture_prefill=False):
        super().__init__(forward, batch, cache_tok)
        if any(getattr(layer, "is_sliding", False) for layer in getattr(self.cache, "layers", [])):
            raise Failure("UNSUPPORTED", "a model with sliding-window layers cannot be captured: "
                          "transformers keeps their length outside of the device",
                          hint="launch: eager or compile")
        self.capture_prefill = capture_prefill
        self.prefills = {}
        self.token = torch.ones(batch, 1, dtype=torch.long, device=self.device)
        self.column = torch.zeros(1, dtype=torch.long, device=self.device)
        self.ids = torch.zeros(batch, cache_tok + 1, dtype=torch.long, device=self.device)
        self.best = torch.zeros(batch, cache_tok + 1, dtype=torch.float32, device=self.device)
        self.graph, self.logits = self.capture(self.whole_step)
        self.reset()

    def whole_step(self):
        logits = Fixed.step(self, self.token)
        self.choose(logits)
        return logits

    def choose(self, logits):
        """The most likely token becomes the next input and a column of the record."""
        best, ids = logits.max(-1)
        ids = ids.unsqueeze(1)
        self.token.copy_(ids)
        self.ids.index_copy_(1, self.column, ids)
        self.best.index_copy_(1, self.column, best.float().unsqueeze(1))
        self.column.add_(1)

    def capture(self, function):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.reset()
                function()
        torch.cuda.current_stream().wait_stream(stream)
        self.reset()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = function()
        return graph, result

    def reset(self):
        super().reset()
        if hasattr(self, "column"):
            self.column.zero_()

    def prefill(self, ids):
        captured = self.prefills.get(ids.shape[1])
        if captured:
            graph, static_ids, logits = captured
            static_ids.copy_(ids)
            graph.replay()
            return logits
        return super().prefill(ids)

    def step(self, token):
        self.token.copy_(token)
        self.graph.replay()
        return self.logits

    def warm(self, n_ids, device):
        if not self.capture_prefill or n_ids in self.prefills:
            return
        static_ids = torch.ones(self.batch, n_ids, dtype=torch.long, device=device)
        dtype = self.forward.model.dtype
        seen = torch.arange(self.cache_tok, device=device)
        # A mask of our own: what transformers would make looks at the cache's length on the host.
        # Cells with a depth are not captured, so that the prompt begins at 0.
        hidden = seen.unsqueeze(0) > torch.arange(n_ids, device=device).unsqueeze(1)
        mask = torch.zeros(1, 1, n_ids, self.cache_tok, dtype=dtype, device=device)
        mask.masked_fill_(hidden, torch.finfo(dtype).min)

        def run():
            logits, _ = self.forward(static_ids, self.cache, attention_mask=mask,
                                     **self.places(self.range(n_ids)))
            self.pos.add_(n_ids)
            return logits[:, -1]

        graph, logits = self.capture(run)
        self.prefills[n_ids] = (graph, static_ids, logits)
        self.reset()


def mark_step():
    """Tells compiled CUDA graphs that the outputs of the last step are not needed any more."""
    mark = getattr(getattr(torch, "compiler", None), "cudagraph_mark_step_begin", None)
    if mark and torch.cuda.is_available():
        mark()


def make_static_cache(model, batch, cache_tok):
    try:
        from transformers import StaticCache
    except ImportError:
        raise no_static_cache() from None
    takes = set(inspect.signature(StaticCache.__init__).parameters)
    more = {}
    for key, value in (("max_batch_size", batch), ("batch_size", batch), ("device", model.device),
                       ("dtype", model.dtype)):
        if key in takes:
            more[key] = value
    if "max_batch_size" in more:
        more.pop("batch_size", None)
    if not takes_cache_objects(model):
        raise no_static_cache()
    return StaticCache(config=copy.copy(model.config), max_cache_len=cache_tok, **more)


def takes_cache_objects(model):
    """Families of older releases keep tuples of tensors instead."""
    return bool(getattr(model, "_supports_static_cache", False)
                or getattr(model, "_can_compile_fullgraph", False)
                or hasattr(__import__("transformers").cache_utils, "StaticLayer"))


def no_static_cache():
    import transformers
    return Failure("UNSUPPORTED", f"transformers {transformers.__version__} has no cache of fixed "
                   "size for this family", hint="kv_cache: dynamic with launch: eager, or a newer "
                   "transformers")
