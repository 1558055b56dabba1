/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The parameter table. Included several times with IL_PARAM_ENUM (or IL_PARAM_ROW) defined; no
 * include guard on purpose.
 *
 *   id, name, letter, type, scopes, min, max, choices, default, value name, help
 */
#ifdef IL_PARAM_ENUM
#define P(...) IL_PARAM_ENUM(__VA_ARGS__)
#else
#define P(...) IL_PARAM_ROW(__VA_ARGS__)
#endif

/* clang-format off */
/* ---- study file, top level; some also on the command line of run and sweep ---- */
P(RUN_NAME, "run_name", 0, TEXT, IL_SCOPE_STUDY, 0, 0, NULL, NULL, "NAME", "names the run and its directory")
P(GEN_TOKENS, "gen_tokens", 'n', I64, IL_SCOPE_STUDY | IL_SCOPE_RUN | IL_SCOPE_BENCH, 1, 1048576, NULL, "64", "N", "decode steps of a call")
P(GEN_TOKENS_LIST, "gen_tokens_list", 0, I64_LIST, IL_SCOPE_STUDY, 1, 1048576, NULL, NULL, "N,…", "sweep: one run per decode length")
P(REPETITIONS, "repetitions", 'r', I64, IL_SCOPE_STUDY | IL_SCOPE_RUN | IL_SCOPE_SWEEP, 1, 1000000, NULL, "3", "N", "measured calls of a cell in a block")
P(WARMUP_REPETITIONS, "warmup_repetitions", 0, I64, IL_SCOPE_STUDY | IL_SCOPE_RUN | IL_SCOPE_SWEEP, 0, 1000000, NULL, "1", "N", "warm-up calls of a cell in a block")
P(SEED, "seed", 0, I64, IL_SCOPE_STUDY | IL_SCOPE_RUN | IL_SCOPE_SWEEP | IL_SCOPE_ANALYZE | IL_SCOPE_MODEL_MAKE, 0, 9007199254740991.0, NULL, "42", "N", "seed of weights, prompts, order and resampling")
P(SCENARIOS, "scenarios", 0, NODE, IL_SCOPE_STUDY, 0, 0, NULL, NULL, NULL, "prompts: [{name, prompt}] or [{name, prompt_tokens}]")
P(BACKENDS, "backends", 0, NODE, IL_SCOPE_STUDY, 0, 0, NULL, NULL, NULL, "runtimes: [{name, kind, …}]")
P(MODELS, "models", 0, NODE, IL_SCOPE_STUDY, 0, 0, NULL, NULL, NULL, "models: [{name, kind, …}]")
P(SUITES, "suites", 0, TEXT_LIST, IL_SCOPE_STUDY, 0, 0, NULL, NULL, "S,…", "suites of shapes, synthesised when absent; pythia<=1b limits the size")
P(SHAPES, "shapes", 0, NODE, IL_SCOPE_STUDY, 0, 0, NULL, NULL, NULL, "a grid of shapes, synthesised")
P(BATCH_SIZES, "batch_sizes", 0, I64_LIST, IL_SCOPE_STUDY, 1, 65536, NULL, NULL, "N,…", "expands every backend over these batch sizes")
P(PROMPT_TOKENS_LIST, "prompt_tokens_list", 0, I64_LIST, IL_SCOPE_STUDY, 1, 1048576, NULL, NULL, "N,…", "adds one scenario of seeded ids per prompt length")
P(SCHEDULE, "schedule", 0, NODE, IL_SCOPE_STUDY, 0, 0, NULL, NULL, NULL, "blocks, noise floor and sampling")
P(COLD_START, "cold_start", 0, NODE, IL_SCOPE_STUDY, 0, 0, NULL, NULL, NULL, "repeated staged cold starts")
P(CLAIMS, "claims", 0, TEXT, IL_SCOPE_STUDY, 0, 0, NULL, NULL, "FILE", "claims file judged by the report")
P(SLO, "slo", 0, NODE, IL_SCOPE_STUDY, 0, 0, NULL, NULL, NULL, "latency objectives")
P(MEMORY_WALL, "memory_wall", 0, NODE, IL_SCOPE_STUDY, 0, 0, NULL, NULL, NULL, "ladder climbed until memory fails")
P(BASE, "base", 0, TEXT, IL_SCOPE_STUDY, 0, 0, NULL, "scaling.yaml", "FILE", "sweep: the study file that defines the names used here")

/* ---- scenario, model, backend ---- */
P(NAME, "name", 0, TEXT, IL_SCOPE_SCENARIO | IL_SCOPE_MODEL | IL_SCOPE_BACKEND, 0, 0, NULL, NULL, "NAME", "unique name")
P(PROMPT, "prompt", 0, TEXT, IL_SCOPE_SCENARIO, 0, 0, NULL, NULL, "TEXT", "the prompt, sent unchanged")
P(PROMPT_TOKENS, "prompt_tokens", 0, I64, IL_SCOPE_SCENARIO, 1, 1048576, NULL, NULL, "N", "length of a prompt of seeded random ids")
P(DEPTH_TOK, "depth_tok", 0, I64, IL_SCOPE_SCENARIO, 0, 1048576, NULL, "0", "N", "tokens put into the cache, untimed, before the prompt")
P(KIND, "kind", 0, CHOICE, IL_SCOPE_MODEL | IL_SCOPE_BACKEND, 0, 0, "hf|native|onnxruntime|ollama|openai|noop|replay", NULL, "KIND", "what runs it")
P(DEVICE, "device", 0, CHOICE, IL_SCOPE_BACKEND, 0, 0, "cpu|cuda", "cpu", "D", "where it runs")
P(DTYPE, "dtype", 0, CHOICE, IL_SCOPE_BACKEND | IL_SCOPE_BENCH | IL_SCOPE_MODEL_MAKE | IL_SCOPE_MODEL_LOGITS, 0, 0, "fp32|bf16|fp16", "fp32", "T", "number format of the weights")
P(BATCH_SIZE, "batch_size", 'b', I64, IL_SCOPE_BACKEND | IL_SCOPE_BENCH, 1, 65536, NULL, "1", "N", "sequences in a call")
P(THREADS, "threads", 't', I64, IL_SCOPE_BACKEND | IL_SCOPE_BENCH | IL_SCOPE_MODEL_LOGITS | IL_SCOPE_MODEL_MAKE | IL_SCOPE_DOCTOR, 0, 4096, NULL, "0", "N", "threads; 0 = one per physical core allowed")
P(AFFINITY, "affinity", 0, TEXT, IL_SCOPE_BACKEND, 0, 0, NULL, NULL, "CPUS", "CPUs of the worker, as 0-3,8")
P(ISA, "isa", 0, CHOICE, IL_SCOPE_BACKEND | IL_SCOPE_BENCH | IL_SCOPE_MODEL_LOGITS, 0, 0, "auto|reference|avx2|avx512", "auto", "ISA", "kernels of the native engine")
P(LOGITS, "logits", 0, CHOICE, IL_SCOPE_BACKEND, 0, 0, "last|all", "last", "WHERE", "prompt positions the head is computed at in prefill")
P(COMPAT, "compat", 0, CHOICE, IL_SCOPE_BACKEND | IL_SCOPE_STUDY, 0, 0, "none|tr121", "none", "C", "tr121: the original study's loop and column meanings")
P(URL, "url", 0, TEXT, IL_SCOPE_BACKEND, 0, 0, NULL, NULL, "URL", "address of the server")
P(SERVE, "serve", 0, CHOICE, IL_SCOPE_BACKEND, 0, 0, "no|auto", "no", "S", "auto: the driver starts and stops the server")
P(RESTART, "restart", 0, CHOICE, IL_SCOPE_BACKEND, 0, 0, "block|study|never", NULL, "R", "how often its process is renewed")
P(OPTIONS, "options", 0, NODE, IL_SCOPE_BACKEND, 0, 0, NULL, NULL, NULL, "options passed to the runtime")
P(COMMAND, "command", 0, TEXT_LIST, IL_SCOPE_BACKEND, 0, 0, NULL, NULL, "ARGV", "worker program and arguments, for a runtime of your own")
P(REPLAY, "replay", 0, TEXT, IL_SCOPE_BACKEND, 0, 0, NULL, NULL, "JOURNAL", "recorded journal answered by kind replay")
P(DEADLINE_S, "deadline_s", 0, F64, IL_SCOPE_BACKEND, 0.001, 864000, NULL, "600", "S", "longest wait for one reply, seconds")
P(HUGE_PAGES, "huge_pages", 0, CHOICE, IL_SCOPE_BACKEND, 0, 0, "default|always|never", "always", "H", "transparent huge pages for weights and cache")
P(PARAMS_MILLIONS, "params_millions", 0, F64, IL_SCOPE_MODEL, 0, 1e9, NULL, NULL, "M", "parameters in millions, where they cannot be counted")
P(ON, "on", 0, TEXT_LIST, IL_SCOPE_MODEL, 0, 0, NULL, NULL, "B,…", "names of the backends this model meets")

/* ---- schedule ---- */
P(BLOCKS, "blocks", 0, I64, IL_SCOPE_SCHEDULE | IL_SCOPE_RUN | IL_SCOPE_SWEEP, 1, 100000, NULL, "1", "N", "passes over all cells by fresh processes")
P(TIME_BUDGET_S, "time_budget_s", 0, F64, IL_SCOPE_SCHEDULE, 1, 31536000, NULL, NULL, "S", "cells not begun by then are not_run rows, seconds")
P(TARGET_CI, "target_ci", 0, F64, IL_SCOPE_SCHEDULE, 0.0001, 1, NULL, NULL, "F", "half-width wanted: blocks are added until it is reached, blocks at most")
P(BLOCKS_LEAST, "blocks_least", 0, I64, IL_SCOPE_SCHEDULE, 2, 100000, NULL, "8", "N", "with target_ci: blocks every cell gets before any is given more")
P(QUESTION, "question", 0, CHOICE, IL_SCOPE_SCHEDULE, 0, 0, "cells|laws", "cells", "Q", "with target_ci: whose intervals: cells' medians, or the laws' exponents")
P(AA, "aa", 0, FLAG, IL_SCOPE_SCHEDULE, 0, 0, NULL, NULL, NULL, "A/A arms in every block (default: with two blocks or more)")
P(SENTINEL, "sentinel", 0, FLAG, IL_SCOPE_SCHEDULE, 0, 0, NULL, NULL, NULL, "sentinel and ceilings in every block (default: with two blocks or more)")
P(CLOSURE, "closure", 0, FLAG, IL_SCOPE_SCHEDULE, 0, 0, NULL, NULL, NULL, "one unsplit call per cell and block (default: with two blocks or more)")

/* ---- grid of shapes ---- */
P(GRID_LAYERS, "n_layer", 0, I64_LIST, IL_SCOPE_SHAPES, 1, 4096, NULL, NULL, "N,…", "numbers of layers")
P(GRID_WIDTHS, "d_model", 0, I64_LIST, IL_SCOPE_SHAPES, 1, 1048576, NULL, NULL, "N,…", "widths; may be left out with iso_params")
P(GRID_HEADS, "n_head", 0, I64_LIST, IL_SCOPE_SHAPES, 1, 65536, NULL, "1", "N,…", "numbers of attention heads")
P(GRID_VOCAB, "vocab_size", 0, I64, IL_SCOPE_SHAPES, 2, 16777216, NULL, "50257", "N", "rows of the embedding")
P(ISO_PARAMS, "iso_params", 0, F64, IL_SCOPE_SHAPES, 1, 1e13, NULL, NULL, "P", "keep shapes within 20 % of this many parameters; without d_model the width is solved for")

/* ---- cold start, SLO, memory wall ---- */
P(SAMPLES, "samples", 0, I64, IL_SCOPE_COLD_START, 6, 10000, NULL, "6", "N", "cold starts of each kind")
P(PAGE_CACHE, "page_cache", 0, TEXT_LIST, IL_SCOPE_COLD_START, 0, 0, "cold|warm", "cold,warm", "C,…", "state of the page cache")
P(ITL_MS, "itl_ms", 0, F64, IL_SCOPE_SLO, 0, 1e9, NULL, NULL, "MS", "longest acceptable time per output token")
P(TTFT_MS, "ttft_ms", 0, F64, IL_SCOPE_SLO, 0, 1e9, NULL, NULL, "MS", "longest acceptable time to first token")
P(LADDER, "ladder", 0, NODE, IL_SCOPE_MEMORY, 0, 0, NULL, NULL, NULL, "what the ladder climbs")
P(STOP_AFTER, "stop_after", 0, I64, IL_SCOPE_MEMORY, 1, 100, NULL, "2", "N", "failures after which the ladder ends")

/* ---- command line only ---- */
P(HELP, "help", 'h', FLAG, IL_SCOPE_ANY_VERB, 0, 0, NULL, NULL, NULL, "this text")
P(QUIET, "quiet", 'q', FLAG, IL_SCOPE_ANY_VERB, 0, 0, NULL, NULL, NULL, "no progress, warnings and errors only")
P(VERBOSE, "verbose", 'v', FLAG, IL_SCOPE_ANY_VERB, 0, 0, NULL, NULL, NULL, "say more on stderr")
P(JSON, "json", 0, FLAG, IL_SCOPE_RUN | IL_SCOPE_SWEEP | IL_SCOPE_BENCH | IL_SCOPE_DOCTOR | IL_SCOPE_MODEL_LIST | IL_SCOPE_MODEL_INSPECT | IL_SCOPE_ANALYZE | IL_SCOPE_REPORT, 0, 0, NULL, NULL, NULL, "the table as JSON on stdout")
P(OUT_DIR, "out_dir", 'o', TEXT, IL_SCOPE_RUN | IL_SCOPE_SWEEP | IL_SCOPE_BENCH, 0, 0, NULL, NULL, "DIR", "the run directory (default runs/NAME-UTC)")
P(PLAN, "plan", 0, FLAG, IL_SCOPE_RUN | IL_SCOPE_SWEEP, 0, 0, NULL, NULL, NULL, "print cells, memory and time; run nothing, write nothing")
P(RESUME, "resume", 0, FLAG, IL_SCOPE_RUN | IL_SCOPE_SWEEP, 0, 0, NULL, NULL, NULL, "go on at the missing cells of --out-dir")
P(MAP, "map", 0, TEXT_LIST, IL_SCOPE_RUN | IL_SCOPE_SWEEP, 0, 0, NULL, NULL, "A=B,…", "run backends of kind A on kind B, said in every row")
P(ONLY_MODELS, "models", 0, TEXT_LIST, IL_SCOPE_RUN | IL_SCOPE_SWEEP, 0, 0, NULL, NULL, "M,…", "only these models")
P(ONLY_BACKENDS, "backends", 0, TEXT_LIST, IL_SCOPE_RUN | IL_SCOPE_SWEEP, 0, 0, NULL, NULL, "B,…", "only these backends")
P(ONLY_SCENARIOS, "scenarios", 0, TEXT_LIST, IL_SCOPE_RUN | IL_SCOPE_SWEEP, 0, 0, NULL, NULL, "S,…", "only these scenarios")
P(NO_ANALYSIS, "no_analysis", 0, FLAG, IL_SCOPE_RUN | IL_SCOPE_SWEEP, 0, 0, NULL, NULL, NULL, "stop after the journal and metrics.csv")
P(PLOTS, "plots", 0, FLAG, IL_SCOPE_ANALYZE | IL_SCOPE_RUN | IL_SCOPE_SWEEP, 0, 0, NULL, "true", NULL, "no plots (they are drawn by gnuplot, where it is installed)")
P(INCLUDE_WARMUP, "include_warmup", 0, FLAG, IL_SCOPE_ANALYZE, 0, 0, NULL, NULL, NULL, "warm-up rows enter the tables of the original study")
P(BOOTSTRAP, "bootstrap", 0, I64, IL_SCOPE_ANALYZE, 0, 1000000, NULL, "1000", "N", "resamples in the original study's tables")
P(FORMAT, "format", 0, TEXT_LIST, IL_SCOPE_REPORT, 0, 0, "md", "md", "F,…", "formats of the report")
P(MODEL_DIR, "model", 'm', TEXT_LIST, IL_SCOPE_BENCH, 0, 0, NULL, NULL, "DIR,…", "checkpoint directory, or SUITE/NAME to make one")
P(BENCH_PROMPT, "prompt_tokens", 'p', I64_LIST, IL_SCOPE_BENCH, 1, 1048576, NULL, "512", "N,…", "prompt lengths in tokens")
P(DEPTHS, "depths", 'd', I64_LIST, IL_SCOPE_BENCH, 0, 1048576, NULL, "0", "N,…", "context already in the cache before prefill, tokens")
P(BENCH_REPETITIONS, "repetitions", 'r', I64, IL_SCOPE_BENCH, 1, 100000, NULL, "10", "N", "blocks: fresh processes per cell")
P(SUITE, "suite", 0, TEXT, IL_SCOPE_MODEL_MAKE | IL_SCOPE_MODEL_LIST | IL_SCOPE_MODEL_INSPECT, 0, 0, NULL, NULL, "S", "a suite of shapes: tr121, pythia<=1b, or SUITE/NAME for one model")
P(HF_CONFIG, "hf_config", 0, TEXT, IL_SCOPE_MODEL_MAKE | IL_SCOPE_MODEL_INSPECT, 0, 0, NULL, NULL, "FILE", "a Hugging Face config.json")
P(SHAPE, "shape", 0, TEXT, IL_SCOPE_MODEL_MAKE | IL_SCOPE_MODEL_INSPECT, 0, 0, NULL, NULL, "K=V,…", "a shape, as family=gpt2,n_layer=12,d_model=768,n_head=12")
P(OUT, "out", 0, TEXT, IL_SCOPE_MODEL_MAKE | IL_SCOPE_MODEL_LOGITS, 0, 0, NULL, NULL, "PATH", "where to write")
P(MODEL_FORMAT, "format", 0, TEXT_LIST, IL_SCOPE_MODEL_MAKE, 0, 0, "hf", "hf", "F,…", "checkpoint formats")
P(SHARD_BYTES, "shard_bytes", 0, I64, IL_SCOPE_MODEL_MAKE, 1024, 9e15, NULL, "2147483648", "N", "largest safetensors shard, bytes")
P(FORCE, "force", 0, FLAG, IL_SCOPE_MODEL_MAKE, 0, 0, NULL, NULL, NULL, "replace what is there")
P(IDS, "ids", 0, I64_LIST, IL_SCOPE_MODEL_LOGITS, 0, 2147483647, NULL, NULL, "N,…", "token ids")
P(STEPS, "steps", 0, I64, IL_SCOPE_MODEL_LOGITS, 0, 1048576, NULL, "0", "N", "greedy decode steps after the ids")
P(QUICK, "quick", 0, FLAG, IL_SCOPE_DOCTOR, 0, 0, NULL, NULL, NULL, "skip the measured ceilings")
/* clang-format on */
#undef P
