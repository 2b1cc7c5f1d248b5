import Identification
import LinuxIO
import Synchronization
import Thermography

/// Where the device's threads leave how their part stands; `status` reads it.
final class StatusBoard: Sendable {
  /// A file that the configuration names; its fault keeps no picture from being taken.
  enum NamedFile: String, Sendable, CaseIterable {
    case roster, model, quality, language, receiverKeys, commandKeys, configurationKeys, updates, audit
  }

  private struct State {
    var fileProblems: [NamedFile: String] = [:]
    var camera = DeviceReport.Camera()
    var reader = DeviceReport.Reader()
    var panelProblems: [String]?
    var models: [DeviceReport.Model]?
    var update: String?
    var isReady = false
  }

  private let state: Mutex<State>

  init(bus: String, reader: TagReader.Settings) {
    var initial = State()
    initial.camera.bus = bus
    initial.reader.kind = reader.kind.rawValue
    initial.reader.device = reader.path
    initial.reader.baud = reader.baud
    state = Mutex(initial)
  }

  var camera: DeviceReport.Camera { state.withLock { $0.camera } }
  var reader: DeviceReport.Reader { state.withLock { $0.reader } }

  /// Lines of the front panel that were not to be had at the start; nil where no line is configured.
  var panelProblems: [String]? { state.withLock { $0.panelProblems } }

  /// The models that decide since an update took the place of one; nil: those of the start.
  var models: [DeviceReport.Model]? {
    get { state.withLock { $0.models } }
    set { state.withLock { $0.models = newValue } }
  }

  /// The update of a model that is under way, in words.
  var update: String? {
    get { state.withLock { $0.update } }
    set { state.withLock { $0.update = newValue } }
  }

  /// Every service has started.
  var isReady: Bool {
    get { state.withLock { $0.isReady } }
    set { state.withLock { $0.isReady = newValue } }
  }

  /// What is wrong with named files, a line each; empty when all is well.
  var fileProblems: [String] {
    state.withLock { state in NamedFile.allCases.compactMap { state.fileProblems[$0] } }
  }

  /// - Parameter problem: nil when the file can be used.
  func note(_ file: NamedFile, _ problem: String?) {
    state.withLock { $0.fileProblems[file] = problem }
  }

  func panelOpened(problems: [String]) {
    state.withLock { $0.panelProblems = problems }
  }

  /// The camera started, or started anew.
  func cameraStarted(_ camera: borrowing some CameraSource) {
    var report = self.camera
    report.serial = camera.serialNumber
    report.subPagesPerSecond = camera.subPagesPerSecond
    camera.describe(in: &report)
    // The camera's thread alone writes this.
    state.withLock { [report] in $0.camera = report }
  }

  /// Once a sub-page; nothing is allocated.
  func cameraDelivered(_ step: CameraStep, subPagesPerSecond: Double) {
    state.withLock { state in
      state.camera.health = .good
      state.camera.reason = nil
      state.camera.subPages += 1
      state.camera.subPagesPerSecond = subPagesPerSecond
      state.camera.ambientCelsius = step.ambientCelsius
      state.camera.supplyVolts = step.supplyVolts
      state.camera.isSettling = step.settling
    }
  }

  func cameraLost(_ reason: String) {
    state.withLock { state in
      state.camera.health = .lost
      state.camera.reason = reason
    }
  }

  func readerConnected() {
    state.withLock { state in
      state.reader.health = .good
      state.reader.reason = nil
    }
  }

  func readerLost(_ reason: String) {
    state.withLock { state in
      state.reader.health = .lost
      state.reader.reason = reason
    }
  }

  func tagPresented() {
    state.withLock { $0.reader.presentations += 1 }
  }
}
