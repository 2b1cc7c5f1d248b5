import Glibc
import LocalFiles
import Threads

/// A thread of its own for an actor: fsync may take seconds on a worn card, and the shared pool of a four-core board
/// has no thread to spare for that. First in, first out, so jobs that wait together can share one commit.
final class StorageThread: SerialExecutor {
  /// What the thread and the executor share; the thread keeps it alive.
  private final class Queue: @unchecked Sendable {
    // Guarded by `mutex`.
    private var jobs: [UnownedJob] = []
    private var finished = false
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init() {
      pthread_mutex_init(mutex, nil)
      pthread_cond_init(condition, nil)
    }

    deinit {
      pthread_cond_destroy(condition)
      pthread_mutex_destroy(mutex)
      condition.deallocate()
      mutex.deallocate()
    }

    func append(_ job: UnownedJob) {
      pthread_mutex_lock(mutex)
      jobs.append(job)
      pthread_cond_signal(condition)
      pthread_mutex_unlock(mutex)
    }

    func finish() {
      pthread_mutex_lock(mutex)
      finished = true
      pthread_cond_signal(condition)
      pthread_mutex_unlock(mutex)
    }

    /// All jobs that wait, after waiting for one; nil at the end.
    func next() -> [UnownedJob]? {
      pthread_mutex_lock(mutex)
      defer { pthread_mutex_unlock(mutex) }
      while jobs.isEmpty && !finished { pthread_cond_wait(condition, mutex) }
      guard !jobs.isEmpty else { return nil }
      defer { jobs.removeAll(keepingCapacity: true) }
      return jobs
    }
  }

  private let queue = Queue()

  /// - Throws: `.file` when the system gives no thread.
  init() throws(OutboxError) {
    let queue = queue
    let executor = UnownedSerialExecutor(ordinary: self)
    do throws(SystemCallError) {
      // A job keeps its actor alive, and the actor this executor, for as long as the job runs.
      _ = try NamedThread("storage") {
        while let jobs = queue.next() {
          for job in jobs { job.runSynchronously(on: executor) }
        }
      }
    } catch {
      throw .file(FileError(error))
    }
  }

  deinit {
    queue.finish()
  }

  func enqueue(_ job: consuming ExecutorJob) {
    queue.append(UnownedJob(job))
  }
}
