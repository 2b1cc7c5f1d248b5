import LocalFiles
import Thermography

/// What the camera's loop reads: the sensor, or a recording of one.
protocol CameraSource: SendableMetatype {
  var live: TemperatureImage { get }
  /// The sensor's, as records name it.
  var modelName: String { get }
  /// 12 hexadecimal digits; empty before the sensor was found.
  var serialNumber: String { get }
  /// 0 where nobody reads at a rate.
  var subPagesPerSecond: Double { get }
  /// Transactions with the sensor that failed so far.
  var busFailures: UInt64 { get }
  /// Sub-pages that passed unseen so far.
  var missedSubPages: UInt64 { get }
  /// What `status` tells of the sensor and its calibration.
  func describe(in report: inout DeviceReport.Camera)
  mutating func step() throws(SensorError) -> CameraStep
  mutating func begin(_ request: CaptureRequest)
  mutating func cancel()
  mutating func takeThermogram() -> Thermogram?
  mutating func takeEvents() -> [MLX90640.Event]
  /// Reads the calibration of a sensor that was plugged in in place of another.
  mutating func restart() throws(CameraError)
}

extension ThermalCamera: CameraSource {
  var modelName: String { MLX90640.modelName }
  var serialNumber: String { eeprom?.serialNumber ?? "" }
  var subPagesPerSecond: Double { sensor.refreshRate.subPagesPerSecond }
  var busFailures: UInt64 { sensor.counters.busFailures }
  var missedSubPages: UInt64 { sensor.counters.missedSubPages }

  func describe(in report: inout DeviceReport.Camera) {
    report.defectivePixels = defects.all.count
    report.calibration =
      switch calibrationSource {
      case .live: "live"
      case .liveFirstSeen: "first seen"
      case .backup: "backup"
      case .refused, nil: ""
      }
  }

  mutating func restart() throws(CameraError) { try start() }
}

extension RecordedCamera: CameraSource {
  var modelName: String { MLX90640.modelName }
  var serialNumber: String { eeprom.serialNumber }
  var subPagesPerSecond: Double { 0 }
  var busFailures: UInt64 { 0 }
  var missedSubPages: UInt64 { 0 }

  func describe(in report: inout DeviceReport.Camera) {
    report.calibration = "recorded"
  }

  mutating func takeEvents() -> [MLX90640.Event] { [] }

  mutating func restart() {}

  /// More sub-pages than this are no recording for a capture.
  private static let maximumSubPages = 1024

  /// The recording in a folder as `camera dump` writes it: eeprom.txt, frame-0.txt, frame-1.txt and so on, without gaps.
  init(folder: String, clock: any SensorClock) throws {
    func words(_ name: String) throws(FileError) -> [UInt8] {
      try BoundedFile.read("\(folder)/\(name)", maximumBytes: WordFile.maximumBytes)
    }
    let eeprom = try WordFile.eeprom(words("eeprom.txt"), name: "\(folder)/eeprom.txt")
    let names = Set(try Folder.names(in: folder, maximumNames: 2 * Self.maximumSubPages))
    var subPages: [SubPage] = []
    while subPages.count < Self.maximumSubPages, names.contains("frame-\(subPages.count).txt") {
      let name = "frame-\(subPages.count).txt"
      subPages.append(try WordFile.frame(words(name), name: "\(folder)/\(name)"))
    }
    do throws(RecordingError) {
      try self.init(eeprom: eeprom, subPages: subPages, clock: clock)
    } catch {
      throw DeviceStartError("\(folder): \(error)")
    }
  }
}
