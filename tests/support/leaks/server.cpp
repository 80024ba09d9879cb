// SPDX-License-Identifier: MIT
//
// A server with eight threads that answer requests from a cache, and three faults: an answer that is dropped without its
// text, a session whose two parts own each other, and an array of a worker that a pointer to its base forgets.
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace {

struct Answer {
    int number;
    char *text;
};

struct Socket;
struct Session {
    std::string user;
    std::shared_ptr<Socket> socket;
};
struct Socket {
    std::shared_ptr<Session> session;
    std::vector<int> queue;
};

class Cache {
public:
    std::string find(int key)
    {
        std::lock_guard<std::mutex> guard(lock);
        auto &entry = entries[key % 500];
        if (entry.empty())
            entry = std::string(static_cast<size_t>(key % 300 + 20), 'x');
        return entry;
    }

private:
    std::mutex lock;
    std::unordered_map<int, std::string> entries;
};

class Pool {
public:
    Pool()
    {
        for (int i = 0; i < 8; i++)
            threads.emplace_back([this] { work(); });
    }
    ~Pool()
    {
        {
            std::lock_guard<std::mutex> guard(lock);
            ends = true;
        }
        waits.notify_all();
        for (auto &thread : threads)
            thread.join();
    }
    void give(std::function<void()> task)
    {
        {
            std::lock_guard<std::mutex> guard(lock);
            tasks.push_back(std::move(task));
        }
        waits.notify_one();
    }

private:
    void work()
    {
        std::unique_lock<std::mutex> guard(lock);
        for (;;) {
            waits.wait(guard, [this] { return ends || !tasks.empty(); });
            if (tasks.empty())
                return;
            auto task = std::move(tasks.front());
            tasks.pop_front();
            guard.unlock();
            task();
            guard.lock();
        }
    }
    std::mutex lock;
    std::condition_variable waits;
    std::deque<std::function<void()>> tasks;
    std::vector<std::thread> threads;
    bool ends = false;
};

Cache cache;
std::mutex table_lock;
std::map<int, std::unique_ptr<Answer>> kept;

__attribute__((noinline)) char *copy_text(const std::string &from)
{
    char *text = new char[from.size() + 1]; // leaked: server direct 40
    std::memcpy(text, from.c_str(), from.size() + 1);
    return text;
}

__attribute__((noinline)) void answer(int number)
{
    auto found = std::make_unique<Answer>();
    found->number = number;
    found->text = copy_text(cache.find(number));
    if (number % 100 != 0) {
        delete[] found->text;
        found->text = nullptr;
    }
    std::lock_guard<std::mutex> guard(table_lock);
    kept[number % 97] = std::move(found);
}

__attribute__((noinline)) void open_session(int number)
{
    auto session = std::make_shared<Session>(); // leaked: server any 5
    session->user = std::string(100, static_cast<char>('a' + number % 20)); // leaked: server indirect 5
    session->socket = std::make_shared<Socket>(); // leaked: server any 5
    session->socket->queue.resize(300); // leaked: server indirect 5
    if (number % 200 == 0)
        session->socket->session = session;
}

} // namespace

int main()
{
    {
        Pool pool;
        for (int i = 0; i < 4000; i++)
            pool.give([i] { answer(i); });
        for (int i = 0; i < 1000; i++)
            pool.give([i] { open_session(i); });
    }
    for (auto &entry : kept)
        entry.second->text = nullptr; // what is left of it: its owner forgets it
    std::puts("done");
    return 0;
}
