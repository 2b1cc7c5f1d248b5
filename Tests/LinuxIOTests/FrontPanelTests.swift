import DeviceSimulation
import Foundation
import LinuxIO
import Panel
import Testing

@Suite("Front panel thread")
struct FrontPanelTests {
  /// Waits for a condition, not for a time; the limit is a guard against a hang.
  private func until(_ condition: () -> Bool) async throws {
    for _ in 0..<3000 {
      if condition() { return }
      try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("the condition never held")
  }

  @Test func aSignalIsShownAndTheBackgroundComesBack() async throws {
    let lines = try SimulatedPanel()
    var table = PanelTable.standard
    (table[.ready], table[.tagAccepted]) = (PanelPattern("G40 -40 *"), PanelPattern("B30"))
    let panel = try FrontPanel(
      lines: lines, table: table, debouncer: ButtonDebouncer(), clock: try SystemClock())
    panel.show(.ready)
    try await until { lines.history.contains(PanelOutputs(green: true)) }
    panel.show(.tagAccepted)
    try await until { lines.history.contains(PanelOutputs(blue: true)) }
    let shown = lines.history.count
    try await until { lines.history.dropFirst(shown).contains(PanelOutputs(green: true)) }
    panel.stop()
    #expect(lines.history.last == .dark)
    panel.stop()
  }

  @Test(.timeLimit(.minutes(5))) func pressesAreReported() async throws {
    let lines = try SimulatedPanel()
    let debouncer = ButtonDebouncer(.init(steadyMilliseconds: 5, longPressMilliseconds: 600_000))
    let panel = try FrontPanel(lines: lines, table: .standard, debouncer: debouncer, clock: try SystemClock())
    defer { panel.stop() }
    // The panel's thread dates an edge when it sees it: on a loaded machine both edges of one press may look like a bounce.
    let finger = Task {
      while true {
        lines.setButton(isDown: true)
        try await Task.sleep(for: .milliseconds(50))
        lines.setButton(isDown: false)
        try await Task.sleep(for: .milliseconds(500))
      }
    }
    defer { finger.cancel() }
    for await event in panel.events {
      #expect(event == .press(.short))
      return
    }
    Issue.record("the stream ended without a press")
  }

  @Test func aFailedLineIsReportedAndTheDeviceRunsOn() async throws {
    let lines = try SimulatedPanel()
    let panel = try FrontPanel(
      lines: lines, table: .standard, debouncer: ButtonDebouncer(), clock: try SystemClock())
    lines.fail(with: PanelError("gpiochip0 line 17: set failed: No such device"))
    panel.show(.ready)
    var events: [PanelEvent] = []
    for await event in panel.events { events.append(event) }
    #expect(events == [.failed(PanelError("gpiochip0 line 17: set failed: No such device"))])
    panel.show(.saved)
    panel.stop()
  }

  @Test func missingLinesAreNamedAndTheOthersWork() throws {
    let wiring = GPIOPins.Wiring(
      button: GPIOPinAddress(chip: "no-such-chip", line: .offset(17), isActiveLow: true),
      green: GPIOPinAddress(chip: "no-such-chip", line: .named("LED")))
    let lines = try GPIOPins(wiring)
    #expect(lines.problems.count == 2)
    #expect(
      lines.problems.first?.description.hasPrefix("no-such-chip line 17: no GPIO chip of that label or name") == true)
    #expect(lines.problems.last?.description.hasPrefix("no-such-chip line LED: no GPIO chip") == true)
    try lines.show(PanelOutputs(green: true, buzzer: true))
    #expect(try lines.waitForButton(timeoutMilliseconds: 1) == nil)
    lines.interrupt()
    #expect(try lines.waitForButton(timeoutMilliseconds: 60_000) == nil)
  }
}
