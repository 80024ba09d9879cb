# SPDX-License-Identifier: MIT
"""clang++: a file with heavy templates, compiled with optimisation: hundreds of megabytes of small blocks."""
import harness
import hashlib
import os
import shutil

NAMES = ("clang++-14", "clang++")
PROGRAM = """
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <random>
#include <regex>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

template <int N> struct fib { static constexpr unsigned long value = fib<N - 1>::value + fib<N - 2>::value; };
template <> struct fib<0> { static constexpr unsigned long value = 0; };
template <> struct fib<1> { static constexpr unsigned long value = 1; };

template <int N> struct tagged { std::map<int, std::variant<int, std::string, std::vector<double>>> content; };

template <int... N> auto all(std::integer_sequence<int, N...>) { return std::tuple<tagged<N>...>(); }

template <int N> unsigned long use(tagged<N> &one) {
    for (int i = 0; i < N; i++) {
        if (i % 3 == 0) one.content[i] = i * N;
        else if (i % 3 == 1) one.content[i] = std::to_string(i + N);
        else one.content[i] = std::vector<double>(N, i);
    }
    unsigned long sum = fib<N + 20>::value;
    for (auto &[key, value] : one.content)
        sum += key + std::visit([](auto &held) -> unsigned long { return sizeof held; }, value);
    std::vector<int> numbers(N);
    std::sort(numbers.begin(), numbers.end(), [](int a, int b) { return a % (N + 1) < b % (N + 1); });
    return sum;
}

int main() {
    auto tuple = all(std::make_integer_sequence<int, 20>());
    unsigned long sum = std::apply([](auto &...each) { return (use(each) + ... + 0ul); }, tuple);
    std::regex words("([a-z]+)([0-9]*)");
    std::unordered_map<std::string, std::function<int(int)>> functions;
    functions["a"] = [&](int x) { return x + int(sum % 7); };
    std::cout << sum << ' ' << std::regex_replace("abc12 de f3", words, "$2$1") << functions["a"](1) << std::endl;
}
"""


def workload(run):
    clang = harness.need(*NAMES, package="clang-14")
    harness.need("g++", package="g++")  # for its library
    run.write("work.cpp", PROGRAM)
    for level in ("-O0", "-O2"):
        with open(run.path("work.cpp"), encoding="utf-8") as source:
            run.cmd([clang, "-std=c++17", level, "-w", "-x", "c++", "-c", "-", "-o", "work.o"], stdin=source.read(),
                    hold=os.path.basename(clang))
        with open(run.path("work.o"), "rb") as file:
            run.note(f"object at {level}", hashlib.sha256(file.read()).hexdigest())
    run.cmd([clang, "work.o", "-o", "work"])
    run.cmd(["./work"])


harness.main(workload, [next(filter(shutil.which, NAMES), NAMES[0])])
