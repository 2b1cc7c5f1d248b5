import LocalFiles
import Screening
import Synchronization

/// Durations by size: bounded, whatever comes. Eight buckets for each doubling, so that a quantile is known to within an eighth.
struct DurationHistogram: Sendable, Equatable {
  /// Up to 2^40 microseconds, some two weeks.
  private static let buckets = 320
  /// Of a doubling's 256.
  private static let bucketWidthQ8 = 1 << 5

  private var counts = [Int](repeating: 0, count: DurationHistogram.buckets)
  private(set) var count = 0
  private(set) var maximum = 0

  mutating func add(microseconds: Int) {
    let value = min(max(microseconds, 0), 1 << 39)
    counts[min(ChainArithmetic.log2Q8(value) / Self.bucketWidthQ8, Self.buckets - 1)] += 1
    count += 1
    maximum = max(maximum, value)
  }

  /// The upper end of the bucket in which this share of all lies, never above the largest; nil without any.
  func quantile(_ share: Double) -> Int? {
    guard count > 0 else { return nil }
    let wanted = max(1, Int((share * Double(count)).rounded(.up)))
    var seen = 0
    for (index, inBucket) in counts.enumerated() {
      seen += inBucket
      if seen >= wanted {
        let top = (index + 1) * Self.bucketWidthQ8
        let (exponent, mantissa) = (top / 256, top % 256)
        return min(maximum, (1 << exponent) + (mantissa << exponent) / 256 - 1)
      }
    }
    return maximum
  }

  var figures: DeviceReport.Performance.Durations {
    .init(
      count: count, medianMicroseconds: quantile(0.5), p99Microseconds: quantile(0.99),
      maximumMicroseconds: count > 0 ? maximum : nil)
  }
}

/// Where the device's threads leave how fast they are, for a report of the board.
final class PerformanceBoard: Sendable {
  private struct State {
    var jitter = DurationHistogram()
    var captures = DurationHistogram()
    var verdicts = DurationHistogram()
    var lastSubPage: UInt64?
    var missedSubPages = 0
    var readyMilliseconds: Int?
  }

  private let state = Mutex(State())
  private let startedNanoseconds: UInt64

  /// - Parameter started: when the configuration had been read, monotonic nanoseconds.
  init(startedNanoseconds started: UInt64) { startedNanoseconds = started }

  /// A sub-page came.
  ///
  /// - Parameters:
  ///   - periodNanoseconds: from one to the next, as the sensor is set; 0 where nobody reads at a rate.
  ///   - missed: sub-pages that passed unseen since the start.
  func subPage(at now: UInt64, periodNanoseconds: UInt64, missed: UInt64) {
    state.withLock { state in
      if let last = state.lastSubPage, now > last, periodNanoseconds > 0 {
        let interval = now - last
        let difference = interval > periodNanoseconds ? interval - periodNanoseconds : periodNanoseconds - interval
        state.jitter.add(microseconds: Int(clamping: difference / 1000))
      }
      state.lastSubPage = now
      state.missedSubPages = Int(clamping: missed)
    }
  }

  /// The camera went away: the next sub-page begins anew.
  func cameraLost() { state.withLock { $0.lastSubPage = nil } }

  func assessed(captureNanoseconds: UInt64, verdictNanoseconds: UInt64) {
    state.withLock { state in
      state.captures.add(microseconds: Int(clamping: captureNanoseconds / 1000))
      state.verdicts.add(microseconds: Int(clamping: verdictNanoseconds / 1000))
    }
  }

  func ready(at now: UInt64) {
    state.withLock { state in
      guard state.readyMilliseconds == nil else { return }
      state.readyMilliseconds = Int(clamping: (max(now, startedNanoseconds) - startedNanoseconds) / 1_000_000)
    }
  }

  func report(memoryKilobytes: Int?, peakKilobytes: Int?) -> DeviceReport.Performance {
    state.withLock { state in
      .init(
        readyMilliseconds: state.readyMilliseconds, missedSubPages: state.missedSubPages, jitter: state.jitter.figures,
        captures: state.captures.figures, verdicts: state.verdicts.figures, memoryKilobytes: memoryKilobytes,
        peakMemoryKilobytes: peakKilobytes)
    }
  }
}

extension DeviceReport {
  /// How fast the device was since it started.
  package struct Performance: Sendable, Equatable, Codable {
    package struct Durations: Sendable, Equatable, Codable {
      package var count: Int
      package var medianMicroseconds: Int?
      package var p99Microseconds: Int?
      package var maximumMicroseconds: Int?

      private enum CodingKeys: String, CodingKey {
        case count
        case medianMicroseconds = "p50_us"
        case p99Microseconds = "p99_us"
        case maximumMicroseconds = "max_us"
      }
    }

    /// From when the configuration had been read until the device was ready.
    package var readyMilliseconds: Int?
    /// Sub-pages that passed unseen.
    package var missedSubPages: Int
    /// How far the time between two sub-pages was from what the sensor is set to.
    package var jitter: Durations
    package var captures: Durations
    /// From the last sub-page to the verdict.
    package var verdicts: Durations
    package var memoryKilobytes: Int?
    package var peakMemoryKilobytes: Int?

    private enum CodingKeys: String, CodingKey {
      case jitter, captures, verdicts
      case readyMilliseconds = "ready_ms"
      case missedSubPages = "missed_sub_pages"
      case memoryKilobytes = "memory_kb"
      case peakMemoryKilobytes = "peak_memory_kb"
    }
  }
}

extension PerformanceBoard {
  /// Of this program, in kB: `VmRSS` now, `VmHWM` at most so far (proc_pid_status(5)); nil where the kernel does not say.
  static func memoryKilobytes(_ name: String) -> Int? {
    do throws(FileError) {
      let text = String(
        decoding: try BoundedFile.readStream("/proc/self/status", maximumBytes: 16_384), as: UTF8.self)
      guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix(name + ":") }) else { return nil }
      return line.split(separator: " ").dropFirst().first.flatMap { Int($0) }
    } catch { return nil }
  }
}
