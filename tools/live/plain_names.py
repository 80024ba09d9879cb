# SPDX-License-Identifier: MIT
"""Names of C++ and Rust functions as people write them: without parameters, template arguments as <>.

The same as core/api/profile_names.c, which a process has for the profile that it writes itself: two profiles can be compared
only where functions have the same names in both. The test `lint/plain-names` has one table for both.
"""
import functools

OPERATORS = {'nw': 'operator new', 'na': 'operator new[]', 'dl': 'operator delete', 'da': 'operator delete[]',
             'pl': 'operator+', 'mi': 'operator-', 'ml': 'operator*', 'dv': 'operator/', 'aS': 'operator=',
             'pL': 'operator+=', 'eq': 'operator==', 'ne': 'operator!=', 'lt': 'operator<', 'gt': 'operator>',
             'ls': 'operator<<', 'rs': 'operator>>', 'cl': 'operator()', 'ix': 'operator[]', 'pt': 'operator->',
             'de': 'operator*', 'pp': 'operator++', 'mm': 'operator--', 'ss': 'operator<=>', 'co': 'operator~',
             'mI': 'operator-=', 'mL': 'operator*=', 'le': 'operator<=', 'ge': 'operator>=', 'nt': 'operator!',
             'ng': 'operator-', 'an': 'operator&', 'or': 'operator|', 'eo': 'operator^', 'rm': 'operator%',
             'oR': 'operator|=', 'aN': 'operator&='}
STANDARD = {'t': 'std', 'a': 'std::allocator', 'b': 'std::basic_string', 's': 'std::string', 'i': 'std::istream',
            'o': 'std::ostream', 'd': 'std::iostream'}
DIGITS, HEX = '0123456789', '0123456789abcdef'
DEEPEST = 64  # types in types
AROUND = 16   # functions around a function
LONGEST = 511 # as HK_NAME_BYTES of the library has it


class NotUnderstood(Exception):
    """The name stays as it is."""


class Mangled:
    """A symbol, read from its beginning on. `name` is what is shown."""

    def __init__(self, symbol):
        self.text, self.at, self.name = symbol + '\0', 0, []
        self.last = None # the part that a constructor repeats
        self.around = 0

    # ---- letters ----

    def next(self, offset=0):
        at = self.at + offset
        return self.text[at] if at < len(self.text) else '\0'

    def eat(self, word):
        if not self.text.startswith(word, self.at):
            return False
        self.at += len(word)
        return True

    def skip(self, letters):
        while self.next() in letters:
            self.at += 1

    def need(self, word):
        if not self.eat(word):
            raise NotUnderstood

    def source_name(self):
        """A name with its length before it."""
        length = 0
        while self.next() in DIGITS and length < 100000:
            length = 10 * length + int(self.next())
            self.at += 1
        found = self.text[self.at:self.at + length]
        if length == 0 or len(found) < length or '\0' in found:
            raise NotUnderstood
        self.at += length
        self.last = found
        return found

    # ---- what is passed over ----

    def skip_arguments(self, depth):
        """Behind an I, to its E."""
        while not self.eat('E'):
            self.skip_type(depth + 1)

    def skip_substitution(self):
        self.at += 1 # S
        if self.next() == '_' or 'a' <= self.next() <= 'z':
            self.at += 1
            return
        self.skip(DIGITS + 'ABCDEFGHIJKLMNOPQRSTUVWXYZ')
        self.need('_')

    def skip_literal(self, depth):
        """L...E: a value, with a type and its digits."""
        if self.eat('_Z'):
            raise NotUnderstood
        self.skip_type(depth + 1)
        self.skip('n' + HEX)
        self.need('E')

    def skip_until_end(self, depth):
        while not self.eat('E'):
            if self.next() in DIGITS:
                self.source_name()
            elif self.eat('I'):
                self.skip_arguments(depth)
            elif self.next() == 'S':
                self.skip_substitution()
            else:
                self.skip_type(depth + 1)

    def skip_named(self, depth):
        """A type with a name: its own, or of `std`."""
        if self.next() == 'S':
            of_std = self.next(1) == 't'
            self.skip_substitution()
            if of_std and self.next() in DIGITS:
                self.source_name()
        else:
            self.source_name()
        if self.eat('I'):
            self.skip_arguments(depth)

    def skip_type(self, depth):
        letter = self.next()
        if depth > DEEPEST or letter == '\0':
            raise NotUnderstood
        if letter in 'PROKVC': # pointers, references, const
            self.at += 1
            self.skip_type(depth + 1)
        elif letter in 'vwbcahstijlmxynofdegz':
            self.at += 1
        elif letter in DIGITS or letter == 'S':
            self.skip_named(depth)
        elif letter == 'T':
            self.skip_substitution()
        elif self.eat('A'): # an array, its length first
            self.skip(DIGITS)
            self.need('_')
            self.skip_type(depth + 1)
        elif self.eat('N') or self.eat('F'):
            self.skip_until_end(depth)
        elif self.eat('L'):
            self.skip_literal(depth)
        elif self.eat('J'):
            self.skip_arguments(depth)
        elif letter == 'D' and self.next(1) in 'pnaiuhs':
            pack = self.next(1) == 'p'
            self.at += 2
            if pack:
                self.skip_type(depth + 1)
        else:
            raise NotUnderstood

    # ---- what is shown ----

    def operator_name(self):
        name = OPERATORS.get(self.text[self.at:self.at + 2])
        if name is None:
            raise NotUnderstood
        self.at += 2
        self.name.append(name)

    def standard_name(self):
        name = STANDARD.get(self.next(1)) if self.next() == 'S' else None
        if name is None:
            raise NotUnderstood
        self.at += 2
        self.name.append(name)
        self.last = name.rpartition(':')[2]

    def repeat_class(self):
        """A constructor or destructor: the name of its class once more."""
        if self.last is None:
            raise NotUnderstood
        self.name.append(('~' if self.next() == 'D' else '') + self.last)
        self.at += 2

    def tagged_name(self):
        """A name, and behind it tags of what it returns, which are not shown."""
        found = self.source_name()
        self.name.append('(anonymous)' if found[:11] == '_GLOBAL__N_'[:len(found)] else found)
        while self.eat('B'):
            self.source_name()
        self.last = found

    def nested_part(self):
        if self.next() in DIGITS or self.eat('L'):
            self.tagged_name()
        elif self.next() in 'CD' and self.next(1) in DIGITS:
            self.repeat_class()
        elif self.next() == 'S':
            self.standard_name()
        elif self.eat('Ul'):
            self.skip_until_end(0)
            self.skip(DIGITS)
            self.need('_')
            self.name.append('{lambda}')
        else:
            self.operator_name()

    def is_hash(self):
        """Rust's names end with one, which says nothing."""
        part = self.text[self.at:self.at + 20]
        return part[:3] == '17h' and part[19:] == 'E' and all(c in HEX for c in part[3:19])

    def nested_name(self):
        first = True
        self.skip('rVKRO') # const and reference members
        while not self.eat('E'):
            if self.eat('I'):
                last = self.last
                self.skip_arguments(0)
                self.name.append('<>')
                self.last = last
            elif self.is_hash():
                self.at += 19
            else:
                if not first:
                    self.name.append('::')
                first = False
                self.nested_part()

    def inner_name(self):
        """Of what lies inside another function."""
        self.around += 1
        if self.around > AROUND:
            raise NotUnderstood
        self.whole_name()
        while self.next() != '\0' and not self.eat('E'):
            self.skip_type(0)
        if self.next() in DIGITS + 'UN':
            self.name.append('::')
            if self.eat('N'):
                self.nested_name()
            else:
                self.nested_part()

    def whole_name(self):
        """Of a whole function, up to its parameters."""
        if self.eat('Z'):
            self.inner_name()
        elif self.eat('N'):
            self.nested_name()
        else:
            if self.next() == 'S' and self.next(1) == 't':
                self.standard_name()
                self.name.append('::')
            self.nested_part()
            if self.eat('I'):
                self.skip_arguments(0)
                self.name.append('<>')


@functools.lru_cache(maxsize=None)
def plain_name(symbol):
    name = symbol
    if symbol.startswith('_Z'):
        mangled = Mangled(symbol)
        mangled.at = 2
        try:
            mangled.whole_name()
            name = ''.join(mangled.name) or symbol
        except NotUnderstood:
            pass
    return name[:LONGEST].partition('@')[0] # a symbol's version
