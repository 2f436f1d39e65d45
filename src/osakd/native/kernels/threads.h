// Tasks are shared over PyTorch's own OpenMP threads where they are known: between calls these spin for a while, and
// others would compete with them for the cores. Elsewhere over threads of the kernel's own, which wait between calls; one
// call uses them at a time, and a call that finds them busy works alone.
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace {

class Threads {
 public:
  using Work = std::function<void(int task, int worker)>;

  // Runs every task once, on `count` threads at most. What a task computes does not depend on its worker.
  static void run(int count, int tasks, const Work& work) {
    if (count > 1 && tasks > 1 && openmp().parallel && openmp().owner == getpid()) {
      Job job{work, tasks, {0}, {0}};
      openmp().parallel(Job::run, &job, unsigned(count < tasks ? count : tasks), 0);
      return;
    }
    Threads* own = count > 1 && tasks > 1 ? shared() : nullptr;
    std::unique_lock<std::mutex> alone;
    if (own) alone = std::unique_lock<std::mutex>(own->busy_, std::try_to_lock);
    if (!alone.owns_lock()) {
      for (int task = 0; task < tasks; task++) work(task, 0);
      return;
    }
    own->share(count < tasks ? count : tasks, tasks, work);
  }

  // The entry point GOMP_parallel of the OpenMP library that PyTorch uses. A forked process must not enter it.
  struct OpenMP {
    void (*parallel)(void (*)(void*), void*, unsigned, unsigned) = nullptr;
    pid_t owner = 0;
  };
  static OpenMP& openmp() {
    static OpenMP found;
    return found;
  }

 private:
  struct Job {
    const Work& work;
    int tasks;
    std::atomic<int> next, workers;

    static void run(void* data) {
      Job& job = *static_cast<Job*>(data);
      const int worker = job.workers.fetch_add(1);
      for (int task; (task = job.next.fetch_add(1)) < job.tasks;) job.work(task, worker);
    }
  };

  // Never destroyed: its threads run until the process ends. A forked process, which has no threads, makes its own.
  static Threads* shared() {
    static std::mutex lock;
    static Threads* own = nullptr;
    static pid_t owner = 0;
    const std::lock_guard<std::mutex> guard(lock);
    if (owner != getpid()) own = new Threads, owner = getpid();
    return own;
  }

  void share(int count, int tasks, const Work& work) {
    {
      const std::lock_guard<std::mutex> guard(lock_);
      try {
        for (; started_ + 1 < count; started_++) std::thread(&Threads::wait, this, started_ + 1).detach();
      } catch (const std::system_error&) {  // no more threads here: those that there are do the work
      }
      work_ = &work, tasks_ = tasks, count_ = count, next_ = 0;
      job_++;
    }
    wake_.notify_all();
    help(work, tasks, 0);
    std::unique_lock<std::mutex> guard(lock_);
    work_ = nullptr;  // who wakes up now is too late
    done_.wait(guard, [&] { return active_ == 0; });
  }

  void help(const Work& work, int tasks, int worker) {
    for (int task; (task = next_.fetch_add(1)) < tasks;) work(task, worker);
  }

  void wait(int worker) {
    unsigned long seen = 0;
    for (;;) {
      for (int spin = 0; spin < 2000 && job_.load() == seen; spin++) std::this_thread::yield();
      std::unique_lock<std::mutex> guard(lock_);
      wake_.wait(guard, [&] { return job_.load() != seen; });
      seen = job_.load();
      if (!work_ || worker >= count_) continue;
      const Work& work = *work_;
      const int tasks = tasks_;
      active_++;
      guard.unlock();
      help(work, tasks, worker);
      guard.lock();
      if (--active_ == 0) done_.notify_one();
    }
  }

  std::mutex busy_, lock_;
  std::condition_variable wake_, done_;
  std::atomic<unsigned long> job_{0};
  std::atomic<int> next_{0};
  const Work* work_ = nullptr;
  int tasks_ = 0, count_ = 0, started_ = 0, active_ = 0;
};

}  // namespace
