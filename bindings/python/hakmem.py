# SPDX-License-Identifier: MIT
"""hakmem, the allocator of this process, from Python: statistics, trim, heap picture, profile, options.

    LD_PRELOAD=libhakmem.so PYTHONMALLOC=malloc python3 program.py

    import hakmem
    hakmem.stats()['live_bytes']
    hakmem.trim()
    hakmem.picture('/tmp/heap.html')
    with hakmem.profile('/tmp/profile.html'):
        work()

Works where libhakmem is preloaded into the interpreter or linked with it; anywhere else the import is well and every
call raises NotLoaded, which says what to do; what an older library lacks raises TooOld, which is a NotLoaded, and the rest
works. In the child of a fork all works as in the parent. The library is never loaded by this module: a second allocator beside the
one that the process has would know nothing of its memory. (Without PYTHONMALLOC=malloc Python takes arenas of 256 KiB to
1 MiB from the allocator and cuts its small objects from these itself.)

Sizes are bytes. Any thread; ctypes lets other threads run during a call. All but the options allocate nothing in the library.
"""
import contextlib
import ctypes
import errno
import json
import operator
import os
import re
import tempfile

__all__ = ['NotLoaded', 'TooOld', 'loaded', 'version', 'stats', 'classes', 'print_stats', 'trim', 'picture', 'profile',
           'profile_start', 'profile_write', 'profile_stop', 'option', 'set_option', 'usable_size']


class NotLoaded(RuntimeError):
    """This process does not run on hakmem."""

    def __init__(self):
        super().__init__('hakmem is not the allocator of this process: start it with `./hakmem run -- python3 ...`, '
                         '`hakmem run -- python3 ...` or LD_PRELOAD=/path/of/libhakmem.so')


class TooOld(NotLoaded):
    """This process runs on a hakmem that does not have what was called."""

    def __init__(self, library, name):
        RuntimeError.__init__(self, 'hakmem %s, which this process runs on, has no %s' % (library, name))


_FUNCTIONS = {
    # name: result, arguments
    'hak_version': (ctypes.c_char_p, []),
    'hak_trim': (ctypes.c_int, [ctypes.c_size_t]),
    'hak_stats_json': (ctypes.c_int, [ctypes.c_int]),
    'hak_stats_print': (ctypes.c_int, [ctypes.c_int]),
    'hak_heap_picture': (ctypes.c_int, [ctypes.c_int]),
    'hak_profile_start': (ctypes.c_int, [ctypes.c_size_t]),
    'hak_profile_write': (ctypes.c_int, [ctypes.c_char_p]),
    'hak_profile_stop': (None, []),
    'hak_option_get': (ctypes.c_int64, [ctypes.c_char_p]),
    'hak_option_set': (ctypes.c_int, [ctypes.c_char_p, ctypes.c_int64]),
    'hak_malloc_usable_size': (ctypes.c_size_t, [ctypes.c_void_p]),
}
_functions = {}
_process = None


def _find(name):
    """The function of that name in this process; AttributeError."""
    global _process
    if _process is None:
        _process = ctypes.CDLL(None, use_errno=True)
    function = _process[name] # an object of its own: what others say of its arguments does not matter here
    function.restype, function.argtypes = _FUNCTIONS[name]
    return function


def _version():
    """The version of the library that this process has, or None."""
    try:
        _find('hak_stats_json') # a library may be no hakmem, and have a hak_version
        text = _find('hak_version')()
    except (AttributeError, OSError):
        return None
    return text.decode() if text and re.fullmatch(rb'[0-9]+(\.[0-9]+)+.*', text) else None


def _function(name):
    """The same, looked for once. Threads that race find the same."""
    if name not in _functions:
        found = _version()
        if found is None:
            raise NotLoaded()
        try:
            _functions[name] = _find(name)
        except AttributeError:
            raise TooOld(found, name) from None
    return _functions[name]


def _whole(value, what, least, most):
    """A whole number within bounds: ctypes would cut off what is too much. TypeError, ValueError."""
    number = operator.index(value)
    if not least <= number <= most:
        raise ValueError('%s: %d is out of bounds' % (what, number))
    return number


def _size(value, what):
    return _whole(value, what, 0, ctypes.c_size_t(-1).value)


def _text(value):
    """Bytes without a zero, at which C would end. TypeError, ValueError."""
    text = os.fsencode(value)
    if b'\0' in text:
        raise ValueError('%r has a null character in it' % (value,))
    return text


def _option_name(name):
    if not isinstance(name, str):
        raise TypeError('the name of an option is a string, not %r' % (name,))
    try:
        return _text(name.removeprefix('HAKMEM_'))
    except ValueError:
        raise KeyError(name) from None


def _fail(path=None):
    error = ctypes.get_errno()
    raise OSError(error, os.strerror(error), path) if path else OSError(error, os.strerror(error))


def loaded():
    """Does this process run on hakmem?"""
    return _version() is not None


def version():
    """The library's version, for example '0.1.0'."""
    return _function('hak_version')().decode()


def _text_of(name):
    """What a function writes to a file descriptor."""
    function = _function(name)
    with tempfile.TemporaryFile() as file:
        ctypes.set_errno(0)
        if function(file.fileno()) != 0:
            _fail()
        file.seek(0)
        return file.read().decode()


def stats():
    """All statistics as a dictionary: that of HAKMEM_STATS=json:PATH, which docs/statistics.md explains. OSError
    (ENOTSUP) in a library built without."""
    return json.loads(_text_of('hak_stats_json'))


def classes():
    """The statistics of each size class, smallest blocks first: a list of dictionaries."""
    return stats()['classes']


def print_stats(file=None):
    """The page of HAKMEM_STATS=1, to an open file with a descriptor (standard error)."""
    descriptor = 2 if file is None else file.fileno()
    if file is not None:
        file.flush()
    ctypes.set_errno(0)
    if _function('hak_stats_print')(descriptor) != 0:
        _fail()


def trim(keep=0):
    """Gives memory that nothing lives in back to the system, but about `keep` bytes. Did any go?"""
    return _function('hak_trim')(_size(keep, 'keep')) == 1


def picture(path):
    """Writes the heap picture, an HTML page."""
    function = _function('hak_heap_picture')
    with open(path, 'wb') as file:
        ctypes.set_errno(0)
        if function(file.fileno()) != 0:
            _fail(path)


def profile_start(interval=0):
    """Begins a heap profile: one block is sampled in each `interval` bytes (0: 512 KiB, 1: every block)."""
    function, interval = _function('hak_profile_start'), _size(interval, 'interval')
    ctypes.set_errno(0)
    if function(interval) != 0:
        _fail()


def profile_write(path):
    """Writes what is recorded by now: .html, .pb.gz (pprof), .folded or .txt, by the end of the name."""
    function, text = _function('hak_profile_write'), _text(path)
    ctypes.set_errno(0)
    if function(text) != 0:
        _fail(path)


def profile_stop():
    """Samples no more; what is recorded can still be written."""
    _function('hak_profile_stop')()


@contextlib.contextmanager
def profile(path, interval=0):
    """A profile of what is done within, written at its end, also where that is an exception."""
    profile_start(interval)
    try:
        yield
    finally:
        try:
            profile_write(path)
        finally:
            profile_stop()


def option(name):
    """The value of an option that is a number, with or without HAKMEM_. KeyError: there is no such option."""
    function, text = _function('hak_option_get'), _option_name(name)
    ctypes.set_errno(0)
    value = function(text)
    if value == -1 and ctypes.get_errno() != 0:
        raise KeyError(name)
    return value


def set_option(name, value):
    """Sets one. KeyError, ValueError (out of bounds), OSError (ENOTSUP: this library has no such box)."""
    function, text = _function('hak_option_set'), _option_name(name)
    value = _whole(value, name, -2**63, 2**63 - 1)
    ctypes.set_errno(0)
    if function(text, value) != 0:
        error = ctypes.get_errno()
        if error == errno.EINVAL:
            raise KeyError(name)
        if error == errno.ERANGE:
            raise ValueError('%s: %d is out of bounds' % (name, value))
        _fail()


def usable_size(address):
    """What the block at an address may hold: a wrong address ends the process, as for free."""
    return _function('hak_malloc_usable_size')(_size(address, 'address'))
