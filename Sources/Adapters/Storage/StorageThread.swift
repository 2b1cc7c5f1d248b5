import CLinux
import Glibc

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

  /// What the thread is given: the queue it serves and the executor in whose name it runs.
  private final class Start {
    let queue: Queue
    let executor: UnownedSerialExecutor
    init(queue: Queue, executor: UnownedSerialExecutor) {
      self.queue = queue
      self.executor = executor
    }
  }

  private let queue = Queue()

  /// - Throws: `.file` when the system gives no thread.
  init() throws(OutboxError) {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    pthread_attr_setstacksize(&attributes, 512 * 1024)
    let start = Unmanaged.passRetained(Start(queue: queue, executor: UnownedSerialExecutor(ordinary: self)))
    var thread = pthread_t()
    let code = pthread_create(&thread, &attributes, storageThreadMain, start.toOpaque())
    guard code == 0 else {
      start.release()
      throw .file(path: "thread", operation: "start the storage thread", code: code)
    }
  }

  deinit {
    queue.finish()
  }

  func enqueue(_ job: consuming ExecutorJob) {
    queue.append(UnownedJob(job))
  }

  /// The thread's body. A job keeps its actor alive, and the actor this executor, for as long as the job runs.
  fileprivate static func run(_ argument: UnsafeMutableRawPointer) {
    let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
    // The name is for `top`; a kernel that refuses it changes nothing.
    _ = clinux_name_current_thread("storage")
    while let jobs = start.queue.next() {
      for job in jobs { job.runSynchronously(on: start.executor) }
    }
  }
}

private func storageThreadMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  if let argument { StorageThread.run(argument) }
  return nil
}
