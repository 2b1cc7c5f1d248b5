import ArgumentParser
import Device
import Glibc
import LinuxIO
import Provenance

// The health check after an update of the program.
extension DoctorCommand {
  /// Asks until everything is well, or the time is over; then says how it stands, and confirms the release.
  func checkAfterUpdate() throws {
    var service = ServiceOptions()
    service.config = config
    service.socket = nil
    let begin = SystemClock.monotonicNanoseconds()
    var findings: [AfterUpdate.Finding]
    while true {
      findings = present(service)
      let isOver = SystemClock.monotonicNanoseconds() - begin >= UInt64(timeout) * 1_000_000_000
      if isOver || !findings.contains(where: { $0.outcome == .fail }) { break }
      sleep(1)
    }
    for finding in findings { print(json ? try jsonText(finding) : finding.text) }
    guard !findings.contains(where: { $0.outcome == .fail }) else { throw ExitCode.failure }
    let record = try service.answer(to: ControlRequest(.confirm)).release
    if !json { print("confirmed: release \(record?.confirmed ?? "?")") }
  }

  private func present(_ service: ServiceOptions) -> [AfterUpdate.Finding] {
    var answer: ControlReply?
    do {
      try ControlClient(path: service.path).ask(
        ControlRequest(.status).encoded(), silenceMilliseconds: 10_000
      ) { line in
        do { answer = try ControlReply(decoding: line) } catch { answer = .error("\(error)") }
        return false
      }
    } catch {
      return AfterUpdate.findings(withoutService: "\(error)")
    }
    guard let report = answer?.status else {
      return AfterUpdate.findings(withoutService: answer?.error ?? "the service said nothing of itself")
    }
    return AfterUpdate.findings(report, installed: DeviceRuntime.firmware)
  }
}
