import LinuxIO
import LocalFiles
import Logging
import Panel
import Sentinel

/// Makes a step of what was counted and of what the board says. A gauge that fails is missing from then on as long as it
/// fails; the first failure is told.
final class StepSampler {
  private let counters: CounterBoard
  private let gauges: BoardGauges
  private let contact: ContactPin?
  private let logger: Logger
  private var processor: (microseconds: Int, nanoseconds: UInt64)?
  private var openings = 0
  private var told: Set<CounterChannel> = []

  /// - Parameter contact: of the case; nil where there is none.
  init(counters: CounterBoard, gauges: BoardGauges, contact: ContactPin?, logger: Logger) {
    self.counters = counters
    self.gauges = gauges
    self.contact = contact
    self.logger = logger
  }

  /// - Parameter now: monotonic nanoseconds.
  func step(at now: UInt64) -> CounterStep {
    var step = CounterStep()
    counters.take(into: &step)
    step[.processor] = processorPercent(at: now)
    do throws(FileError) {
      step[.temperature] = try gauges.temperatureCentiCelsius()
    } catch { tell(.temperature, "\(error)") }
    lookAtCase()
    if contact != nil, !told.contains(.caseOpened) { step[.caseOpened] = openings }
    openings = 0
    return step
  }

  /// The kernel keeps few changes of the contact, so that it is looked at oftener than a step is made.
  func lookAtCase() {
    guard let contact else { return }
    do throws(PanelError) { openings += try contact.takeOpenings() } catch { tell(.caseOpened, "\(error)") }
  }

  private func processorPercent(at now: UInt64) -> Int? {
    do throws(FileError) {
      guard let used = try gauges.processorMicroseconds() else { return nil }
      defer { processor = (used, now) }
      guard let before = processor, now > before.nanoseconds, used >= before.microseconds else { return nil }
      let elapsed = Int(clamping: (now - before.nanoseconds) / 1000)
      return elapsed > 0 ? min(100, (used - before.microseconds) * 100 / elapsed) : nil
    } catch {
      tell(.processor, "\(error)")
      return nil
    }
  }

  private func tell(_ channel: CounterChannel, _ reason: String) {
    guard told.insert(channel).inserted else { return }
    logger.warning("a counter cannot be read", metadata: ["channel": "\(channel.name)", "reason": "\(reason)"])
  }
}
