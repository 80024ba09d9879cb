# SPDX-License-Identifier: MIT
"""g++: the same assembly for templates, containers and exceptions, and a program that works."""
import harness

TEXT = r"""
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <numeric>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

template <int N> struct Level {
    std::map<std::string, std::vector<std::shared_ptr<Level<N - 1>>>> below;
    std::variant<int, std::string, std::tuple<int, double, std::string>> value;
    size_t sum() const
    {
        size_t s = value.index();
        for (const auto &[name, list] : below)
            s = std::accumulate(list.begin(), list.end(), s + name.size(),
                                [](size_t a, const auto &b) { return a + b->sum(); });
        return s;
    }
    static std::shared_ptr<Level> make(int width)
    {
        auto made = std::make_shared<Level>();
        for (int i = 0; i < width; i++)
            made->below["level" + std::to_string(N * 100 + i % 3)].push_back(Level<N - 1>::make(width));
        if (N % 2) made->value = std::string("s") + std::to_string(N);
        return made;
    }
};
template <> struct Level<0> {
    size_t sum() const { return 1; }
    static std::shared_ptr<Level> make(int) { return std::make_shared<Level>(); }
};

int main()
{
    std::cout << Level<9>::make(3)->sum() << "\n";
    std::unordered_map<std::string, std::set<int>> index;
    for (int i = 0; i < 200000; i++) index[std::to_string(i % 5003)].insert(i);
    size_t total = 0;
    for (auto &entry : index) total += entry.second.size() * entry.first.size();
    std::ostringstream text;
    for (int i = 0; i < 5000; i++) text << "key" << i << "=" << i * i << ";";
    std::string s = text.str();
    std::regex pattern("key([0-9]+)=([0-9]*7);");
    total += std::distance(std::sregex_iterator(s.begin(), s.end(), pattern), std::sregex_iterator());
    for (int i = 0; i < 20000; i++)
        try { if (i % 3) throw std::runtime_error("number " + std::to_string(i)); }
        catch (const std::exception &e) { total += std::string(e.what()).size(); }
    try { std::vector<char> v(static_cast<size_t>(-1) / 4); total += v.size(); }
    catch (const std::bad_alloc &) { total += 1; }
    std::vector<std::thread> threads;
    std::vector<size_t> parts(4);
    for (int t = 0; t < 4; t++)
        threads.emplace_back([t, &parts] {
            for (int i = 0; i < 50000; i++) parts[t] += std::make_unique<std::string>(i % 90, 'x')->size();
        });
    for (auto &t : threads) t.join();
    std::cout << total << " " << std::accumulate(parts.begin(), parts.end(), size_t(0)) << "\n";
}
"""


def workload(run):
    gxx = harness.need("g++-12", "g++", package="g++")
    run.write("a.cc", TEXT)
    run.cmd([gxx, "-std=c++17", "-O2", "-S", "-x", "c++", "-", "-o", "-"], stdin=TEXT, hold="cc1plus")
    run.cmd([gxx, "-std=c++17", "-O0", "-g", "-pthread", "a.cc", "-o", "program"])
    run.cmd(["./program"])
    wrong = 'template <int N> struct A : A<N> {}; A<3> a; int x = "";\n'
    run.cmd([gxx, "-fsyntax-only", "-x", "c++", "-"], stdin=wrong, status=1)


harness.main(workload, ["cc1plus"])
