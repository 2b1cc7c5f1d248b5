import Testing

/// A picture brings its own geometry: outside the driver of the MLX90640, its simulation and the models nothing names a size.
@Suite struct SensorSizeTests {
  /// Where pictures are handled; elsewhere 24 and 32 are hours, bits and bytes.
  private static let folders = [
    "Sources/Core/Thermography", "Sources/Core/Screening", "Sources/Core/Forwarding", "Sources/Core/Configuration",
    "Sources/Adapters/ImageFiles", "Sources/Adapters/Receiving", "Sources/Adapters/DeviceSimulation", "Sources/Device",
    "Sources/thermograph",
  ]

  /// Files of the MLX90640 itself, by the beginnings of their names, and the torso that is drawn on its grid.
  private static let driver = [
    "MLX90640", "SubPage", "Calibration", "EEPROMImage", "TemperatureConverter", "ReferenceTemperatures", "WordFile",
    "FrameDecoder", "AuxiliaryWords", "SensorTransport", "PixelHealth", "CapturePipeline", "RecordedCamera",
    "ThermalCamera", "SimulatedMLX90640", "DrawnTorso", "TorsoScene", "ThermalScene",
  ]

  /// Lines that have such a number for another reason, or the one place that says what a model takes.
  private static let allowed: [(file: String, text: String)] = [
    ("SceneParameters.swift", "breastAngleDegrees"), ("RecordEnvelope.swift", "sha256)?.count == 32"),
    ("SettingKey+Table.swift", "refresh_rate_hz"), ("SettingKey+Table.swift", "dead_pixels_maximum"),
    ("DeliveryConfiguration.swift", "1 << 24"), ("ProvisioningFolder+Examination.swift", "32 raw bytes"),
    ("SyncWindow.swift", "hour < 24"), ("MinimumErrorThreshold.swift", "minimumShare"),
    ("ModelManifest+Validation.swift", "version.utf8.count"), ("PatientBaseline.swift", "maximumSessions"),
    ("PreprocessingChain.swift", "static let modelGeometry"), ("SentenceBook.swift", "$0.value >= 32"),
    ("Silhouette.swift", "geometry.pixelCount / 32"), ("WindowEncoding.swift", "1 << 32"),
    ("BitmapFont.swift", "\"K\": ["), ("ChangeFindings.swift", "assessedShare = 1.0 / 32"),
    ("ThermogramView.swift", "wordsTop + 24"), ("ThermogramView.swift", "gray: 24"),
    ("ThermogramView.swift", "wordsTop - 32"), ("TerminalPicture.swift", "static let picture"),
    ("LineLogHandler.swift", "$0 == 10 ? 32"), ("CameraCommand+View.swift", "24-bit colours"),
    ("CameraCommand.swift", "2, 4, 8, 16, 32 or 64"), ("TerminalDisplay.swift", "80 x 24"),
  ]

  /// Whether a line of code names the size of the MLX90640.
  static func namesASize(_ line: Substring) -> Bool {
    let code = line.drop { $0 == " " }
    guard !code.hasPrefix("//") else { return false }
    if code.contains("MLX90640Geometry") || code.contains(/\.mlx90640\b/) { return true }
    // Not part of a word, and no fraction's digits.
    return code.contains(/(^|[^\w.]|\.\.|[^\d]\.)(24|32|384|768)($|[^\w.]|\.(\.|$|[^\d]))/)
  }

  private static func isAllowed(_ line: Substring, in file: Substring) -> Bool {
    driver.contains { file.hasPrefix($0) } || allowed.contains { file == $0.file && line.contains($0.text) }
  }

  @Test func onlyTheDriverAndTheModelsNameASize() throws {
    for file in try Self.folders.flatMap(House.swiftFiles) {
      let name = file.split(separator: "/").last ?? ""
      for (index, line) in try House.lines(of: file).enumerated()
      where Self.namesASize(line) && !Self.isAllowed(line, in: name) {
        Issue.record("\(file):\(index + 1): names a sensor's size; take it from the picture's geometry")
      }
    }
  }

  @Test(arguments: [
    "let columns = 32", "for pixel in 0..<768 {", "    guard count == 384 else {",
    "key(t + \"x\", .integer(0...768), 1)",
    "let rows = MLX90640Geometry.rows", "TorsoScene(shape, geometry: .mlx90640)", "(24, 32)", "index / 32 * width",
  ])
  func aPlantedSizeIsFound(text: String) {
    #expect(Self.namesASize(text[...]))
    #expect(!Self.isAllowed(text[...], in: "SubjectMeasurements.swift"))
  }

  @Test(arguments: [
    "/// 768 pixels", "let value = UInt32(x)", "let warm = 24.5", "let skin = 32.0", "let x = 0.32", "a1768",
    "Int32.max",
  ])
  func whatIsNoSizeIsLeftAlone(text: String) {
    #expect(!Self.namesASize(text[...]))
  }

  @Test func noExceptionIsLeftOver() throws {
    let files = try Self.folders.flatMap(House.swiftFiles)
    for (name, text) in Self.allowed {
      let lines = try files.filter { $0.hasSuffix("/" + name) }.flatMap(House.lines)
      #expect(lines.contains { $0.contains(text) }, "\(name): no line with \(text); take it out of the list")
    }
  }
}
