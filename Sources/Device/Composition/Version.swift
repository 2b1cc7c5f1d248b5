extension DeviceRuntime {
  /// The release of this program: records, `--version` and the packages state it from here.
  package static let firmware = "0.1.0"
}
