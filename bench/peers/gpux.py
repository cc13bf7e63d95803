"""gpux through its public C interface, include/gpux.h, loaded as a shared library: as much of it as timing needs."""
import ctypes
import json
import os
import shlex
import subprocess


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("message", ctypes.c_char * 1024), ("offset", ctypes.c_size_t)]


class Text(ctypes.Structure):
    _fields_ = [("ptr", ctypes.c_void_p), ("len", ctypes.c_size_t)]


class LocationOptions(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("config", ctypes.c_char_p), ("revision", ctypes.c_char_p)]


class ModelOptions(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("location", LocationOptions), ("provider", ctypes.c_char_p),
                ("precision", ctypes.c_char_p), ("threads", ctypes.c_int)]


class RunnerOptions(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("threads", ctypes.c_int), ("profile", ctypes.c_bool),
                ("max_tokens", ctypes.c_size_t)]


def build_library(build, path):
    """Links BUILD/src/libgpux.a into a shared library."""
    packages = "jansson yaml-0.1 libutf8proc libpcre2-8 libcurl libcrypto".split()
    libraries = shlex.split(subprocess.run(["pkg-config", "--libs", *packages], check=True, text=True,
                                           stdout=subprocess.PIPE).stdout)
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-o", path, "-Wl,--whole-archive", f"{build}/src/libgpux.a",
                    "-Wl,--no-whole-archive", *libraries, "-lpthread", "-lm"], check=True)


class Model:
    FORM_RAW = 2

    def __init__(self, library, folder, precision, threads):
        self.library = ctypes.CDLL(library)
        self.error = Error()
        self.env, self.model, self.runner = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
        self.request = ctypes.c_void_p()
        location = LocationOptions(ctypes.sizeof(LocationOptions), None, None)
        options = ModelOptions(ctypes.sizeof(ModelOptions), location, b"cpu", precision.encode(), threads)
        running = RunnerOptions(ctypes.sizeof(RunnerOptions), threads, False, 0)
        self.call("gpux_open", ctypes.byref(self.env), None)
        self.call("gpux_model_open", ctypes.byref(self.model), self.env, folder.encode(), ctypes.byref(options))
        self.call("gpux_runner_new", ctypes.byref(self.runner), self.model, ctypes.byref(running))

    def call(self, name, *arguments):
        if getattr(self.library, name)(*arguments, ctypes.byref(self.error)) != 0:
            raise RuntimeError(self.error.message.decode())

    def prepare(self, text):
        """The request that `step` runs: JSON, tokenised and split into rows here."""
        self.library.gpux_request_free(self.request)
        self.request = ctypes.c_void_p()
        data = text.encode()
        self.call("gpux_prepare", ctypes.byref(self.request), self.model, data, ctypes.c_size_t(len(data)))
        self.library.gpux_request_keep_outputs(self.request)

    def step(self):
        self.library.gpux_request_rewind(self.request)
        self.call("gpux_step", self.runner, ctypes.byref(self.request), ctypes.c_size_t(1))

    def finish(self):
        """The outputs by name."""
        text = Text()
        self.call("gpux_finish", ctypes.byref(text), self.request, self.FORM_RAW, 0)
        answer = json.loads(ctypes.string_at(text.ptr, text.len))
        self.library.gpux_text_free(ctypes.byref(text))
        return answer
