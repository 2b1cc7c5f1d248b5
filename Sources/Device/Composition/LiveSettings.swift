import Configuration
import ConfigurationFiles
import Logging
import Synchronization

/// The settings of the running device: read again on SIGHUP or `thermograph reload`, in force as far as they can be
/// without a restart.
package final class LiveSettings: Sendable {
  /// Takes over the keys that are live. Called with the settings now in force, after a change of any of them.
  package typealias Observer = @Sendable (Settings) -> Void

  private struct State {
    var settings: Settings
    var needRestart: [String] = []
    var observers: [(tables: Set<String>, always: Bool, observer: Observer)] = []
  }

  let folder: ConfigurationFolder
  private let state: Mutex<State>
  private let logger: Logger

  package init(_ settings: Settings, folder: ConfigurationFolder, logger: Logger) {
    self.folder = folder
    self.logger = logger
    state = Mutex(State(settings: settings))
  }

  package var mainFile: String { folder.mainFile }
  package var settings: Settings { state.withLock { $0.settings } }
  /// Changes that wait for a restart, one line each.
  package var needRestart: [String] { state.withLock { $0.needRestart } }

  /// - Parameters:
  ///   - tables: of the configuration, of which `observer` takes over every live key. A live key of a table that nobody
  ///     takes over counts as needing a restart.
  ///   - always: call it at every reload: a key may name a file whose content has changed.
  package func onChange(of tables: Set<String>, always: Bool = false, _ observer: @escaping Observer) {
    state.withLock { $0.observers.append((tables, always, observer)) }
  }

  /// Reads the files again. With one mistake in them nothing changes, and the error holds every mistake.
  @discardableResult
  package func reload() throws(ControlRefusal) -> ReloadReport {
    let reading = folder.read()
    guard reading.isUsable else {
      for fault in reading.faults { logger.error("the configuration is not reloaded", metadata: ["fault": "\(fault)"]) }
      throw ControlRefusal(
        "not reloaded, the device runs on as it was:\n" + reading.faults.map(\.description).joined(separator: "\n"))
    }
    let (report, observers, settings) = state.withLock { state in
      let taken = state.observers.reduce(into: Set<String>()) { $0.formUnion($1.tables) }
      let (settings, changes) = state.settings.reloaded(with: reading.settings) { taken.contains($0.table) }
      state.settings = settings
      state.needRestart = changes.filter { !$0.isLive }.map(\.short)
      let report = ReloadReport(applied: changes.filter(\.isLive).map(\.short), needRestart: state.needRestart)
      let changed = Set(changes.filter(\.isLive).map(\.table))
      let observers = state.observers.filter { $0.always || !$0.tables.isDisjoint(with: changed) }.map(\.observer)
      return (report, observers, settings)
    }
    for observer in observers { observer(settings) }
    logger.notice("\(report.summary)")
    return report
  }
}

extension SettingsChange {
  fileprivate var short: String { "\(key): \(old ?? "unset") -> \(new ?? "unset")" }
}
