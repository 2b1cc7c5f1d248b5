import Foundation
import TestSupport

/// What `FleetLoad` wrote down: times are seconds since its clock started.
struct FleetTrace {
  /// Milliseconds of the monotonic clock.
  private(set) var began: Int64 = 0
  private(set) var receipts: [(published: Double, latency: Double)] = []
  private(set) var births: [(at: Double, device: String, broker: Int)] = []

  init(_ path: String) throws {
    for line in try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n") {
      let words = line.split(separator: " ").map(String.init)
      switch words.first {
      case "began" where words.count == 2: began = Int64(words[1]) ?? 0
      case "receipt" where words.count == 3:
        if let at = Double(words[1]), let latency = Double(words[2]) { receipts.append((at, latency)) }
      case "birth" where words.count == 4:
        if let at = Double(words[1]), let broker = Int(words[3]) { births.append((at, words[2], broker)) }
      default: throw TestFault(description: "\(path): \(line)")
      }
    }
  }

  static func monotonicMilliseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }

  func seconds(at milliseconds: Int64) -> Double { Double(milliseconds - began) / 1000 }

  /// Seconds from PUBLISH to receipt that 95 % did not exceed, of what was published more than a second before the kill or
  /// ten seconds after it.
  func latency(outside killed: Double) -> Double {
    Self.quantile(receipts.filter { $0.published < killed - 1 || $0.published > killed + 10 }.map(\.latency))
  }

  /// Of the devices that were on `broker` when it was killed: how many, how many were seen again, and after how many
  /// seconds 95 % of all of them were.
  func back(on broker: Int, killed: Double) -> (count: Int, seen: Int, seconds: Double) {
    var places: [String: Int] = [:]
    var again: [String: Double] = [:]
    for birth in births.sorted(by: { $0.at < $1.at }) {
      if birth.at <= killed {
        places[birth.device] = birth.broker
      } else if places[birth.device] == broker, again[birth.device] == nil {
        again[birth.device] = birth.at - killed
      }
    }
    let lost = places.filter { $0.value == broker }
    return (lost.count, again.count, Self.quantile(lost.keys.map { again[$0] ?? .infinity }))
  }

  private static func quantile(_ values: [Double]) -> Double {
    values.isEmpty ? 0 : values.sorted()[Int((0.95 * Double(values.count)).rounded(.up)) - 1]
  }
}
