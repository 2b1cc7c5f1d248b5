import Configuration
import LinuxIO
import LocalFiles
import Logging
import Panel
import Provenance
import ServiceLifecycle

/// Passes the button's presses to the session, and darkens the panel at the end.
struct PanelService: Service {
  let panel: FrontPanel
  let events: DeviceEvents

  func run() async throws {
    await withTaskCancellationHandler {
      await withGracefulShutdownHandler {
        for await event in panel.events {
          switch event {
          case .press(let press): events.send(.pressed(press))
          case .failed(let error): events.send(.panelFailed(error))
          }
        }
      } onGracefulShutdown: {
        panel.stop()
      }
    } onCancel: {
      panel.stop()
    }
    // A panel that failed ends nothing: the device runs on without it.
    try await gracefulShutdown()
  }

  /// The panel of the configuration, or nil where it names no line, or none is to be had.
  ///
  /// - Parameters:
  ///   - lines: what takes the place of the board's GPIO; nil in the field.
  ///   - board: told which lines are not to be had.
  static func panel(
    _ settings: Settings, on lines: (any PanelPins)?, time: any TimeSource, board: StatusBoard, logger: Logger
  ) -> FrontPanel? {
    let table = settings.panel
    for (one, other) in table.indistinguishableSignals {
      logger.warning(
        "two panel patterns have the same rhythm; somebody who sees no colours cannot tell them apart",
        metadata: ["one": "\(one.rawValue)", "other": "\(other.rawValue)"])
    }
    do throws(SystemCallError) {
      let opened: any PanelPins
      if let lines {
        opened = lines
        board.panelOpened(problems: [])
      } else {
        let wiring = GPIOPins.Wiring(settings.pins)
        guard wiring != GPIOPins.Wiring() else { return nil }
        let gpio = try GPIOPins(wiring)
        for problem in gpio.problems {
          logger.warning(
            "a pin of the front panel is not available; going on without it", metadata: ["reason": "\(problem)"])
        }
        board.panelOpened(problems: gpio.problems.map(\.description))
        opened = gpio
      }
      return try FrontPanel(
        lines: opened, table: table, debouncer: ButtonDebouncer(settings.pins.buttonTiming), clock: time)
    } catch {
      board.panelOpened(problems: ["\(error)"])
      logger.warning("the front panel cannot be used; going on without it", metadata: ["reason": "\(error)"])
      return nil
    }
  }
}
