import Cryptography
import Forwarding
import Provenance
import Trust

/// Watches the running device for a time and says how the board did: what stands on `Docs/boards.md` comes from here.
package struct Acceptance: Sendable {
  package static let payloadType: ExactText = "application/vnd.thermograph.acceptance.v1+json"
  package static let schema = "thermograph.acceptance.v1"
  /// Between two looks.
  static let lookSeconds = 60

  /// What the watch found. It names no patient.
  package struct Report: Sendable, Equatable, Codable {
    package var schema = Acceptance.schema
    package var device: String
    package var site: String
    package var board: String?
    package var firmware: String
    package var configurationSHA256: String
    /// RFC 3339, by the device's clock.
    package var from: String
    package var to: String
    /// As asked for.
    package var seconds: Int
    /// Looks that were answered, and those that were not.
    package var answered: Int
    package var unanswered: Int
    /// Starts of the service that were seen; its figures count from the last one.
    package var restarts: Int
    package var subPages: Int
    package var missedSubPages: Int
    package var brownOuts: Int?
    package var throttlings: Int?
    package var performance: DeviceReport.Performance?

    private enum CodingKeys: String, CodingKey {
      case schema, device, site, board, firmware, from, to, seconds, answered, unanswered, restarts, throttlings,
        performance
      case configurationSHA256 = "configuration_sha256"
      case subPages = "sub_pages"
      case missedSubPages = "missed_sub_pages"
      case brownOuts = "brown_outs"
    }
  }

  /// Why there is no report.
  package struct Failure: Error, Sendable, CustomStringConvertible {
    package let description: String
  }

  /// `90s`, `30m`, `24h`, `7d` as seconds, 60 to 30 days; nil for anything else.
  package static func seconds(_ text: String) -> Int? {
    let units: [Character: Int] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
    guard let last = text.last, let unit = units[last], text.utf8.count <= 8,
      text.dropLast().allSatisfy({ ("0"..."9").contains($0) }), let count = Int(text.dropLast()),
      (60...2_592_000).contains(count * unit)
    else { return nil }
    return count * unit
  }

  let seconds: Int
  let board: String?
  let look: @Sendable () async -> DeviceReport?
  let wait: @Sendable (_ seconds: Int) async throws -> Void

  /// - Parameters:
  ///   - seconds: 60...2,592,000.
  ///   - board: the profile of the configuration.
  ///   - look: asks the service; nil when it does not answer.
  ///   - wait: lets time pass.
  package init(
    seconds: Int, board: String?, look: @escaping @Sendable () async -> DeviceReport?,
    wait: @escaping @Sendable (_ seconds: Int) async throws -> Void
  ) {
    self.seconds = min(max(seconds, 60), 2_592_000)
    self.board = board
    self.look = look
    self.wait = wait
  }

  /// - Parameter progress: seconds that have passed.
  package func run(progress: (_ passed: Int) -> Void = { _ in }) async throws -> Report {
    guard let first = await look(), first.mode == .running else {
      throw Failure(description: "the service does not run; systemctl start thermograph, then again")
    }
    var sums = Sums(first)
    var (newest, answered, unanswered, passed) = (first, 1, 0, 0)
    while passed < seconds {
      let pause = min(Self.lookSeconds, seconds - passed)
      try await wait(pause)
      passed += pause
      if let report = await look() {
        sums.add(report)
        newest = report
        answered += 1
      } else {
        unanswered += 1
      }
      progress(passed)
    }
    return Report(
      device: newest.device, site: newest.site, board: board, firmware: newest.firmware,
      configurationSHA256: newest.configuration.sha256, from: first.clock.now, to: newest.clock.now, seconds: seconds,
      answered: answered, unanswered: unanswered, restarts: sums.restarts, subPages: sums.subPages,
      missedSubPages: sums.missed, brownOuts: sums.hasPower ? sums.brownOuts : nil,
      throttlings: sums.hasPower ? sums.throttlings : nil, performance: newest.performance)
  }

  /// Counters of a service that may start again meanwhile: what was counted before a restart is not lost.
  private struct Sums {
    var restarts = 0
    var subPages = 0
    var missed = 0
    var brownOuts = 0
    var throttlings = 0
    var hasPower: Bool
    private var before: DeviceReport

    init(_ first: DeviceReport) {
      before = first
      hasPower = first.sentinel?.power != nil
    }

    mutating func add(_ report: DeviceReport) {
      let isRestart = report.processID != before.processID || report.uptimeSeconds < before.uptimeSeconds
      if isRestart { restarts += 1 }
      func since(_ value: (DeviceReport) -> Int) -> Int {
        max(0, value(report) - (isRestart ? 0 : value(before)))
      }
      subPages += since { $0.camera.subPages }
      missed += since { $0.performance?.missedSubPages ?? 0 }
      brownOuts += since { $0.sentinel?.power?.brownOuts ?? 0 }
      throttlings += since { $0.sentinel?.power?.throttlings ?? 0 }
      hasPower = hasPower || report.sentinel?.power != nil
      before = report
    }
  }

  /// The report as a statement of the device, signed by its own key.
  package static func signed(_ report: Report, by key: SigningKey) throws -> [UInt8] {
    try Envelope(CanonicalJSON.bytes(of: report), type: payloadType, signedBy: [key]).encoded()
  }
}
