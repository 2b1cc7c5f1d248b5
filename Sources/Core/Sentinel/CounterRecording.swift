import FoundationEssentials
import Provenance

/// The lines of `thermograph sentinel record`: first what is recorded, then a line for each step. It names no patient.
package enum CounterRecording {
  package static let schema = "thermograph.counters.v1"

  package struct Head: Sendable, Equatable, Codable {
    package var schema = CounterRecording.schema
    package var stepSeconds: Double
    package var channels = CounterChannel.allCases.map(\.name)
    package var firmware: String

    package init(stepSeconds: Double, firmware: String) {
      self.stepSeconds = stepSeconds
      self.firmware = firmware
    }

    private enum CodingKeys: String, CodingKey {
      case schema, channels, firmware
      case stepSeconds = "step_seconds"
    }
  }

  package struct Line: Sendable, Equatable, Codable {
    /// Counts on over restarts.
    package var step: Int
    /// In the order of `CounterChannel`; nil is missing and written as null.
    package var values: [Int?]

    package init(step: Int, _ values: CounterStep) {
      self.step = step
      self.values = CounterChannel.allCases.map { values[$0] }
    }

    package var counters: CounterStep {
      var step = CounterStep()
      for (channel, value) in zip(CounterChannel.allCases, values) { step[channel] = value }
      return step
    }
  }
}
