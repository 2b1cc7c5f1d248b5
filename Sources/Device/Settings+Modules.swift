import CloudLink
import Configuration
import Forwarding
import Screening

// The configuration knows no other module; here its values become theirs.

extension DeliveryConfiguration {
  init(_ broker: Settings.Broker) {
    self.init(
      confirm: broker.confirm == .receipt ? .receipt : .broker, window: broker.windowMessages,
      messagesPerSecond: broker.pacingMessagesPerSecond, partBytes: broker.partSizeBytes,
      backoff: .init(
        minimumMilliseconds: broker.retryMinimumSeconds * 1000,
        maximumMilliseconds: broker.retryMaximumSeconds * 1000))
    syncWindow = broker.syncWindow.flatMap { SyncWindow($0) }
    bytesPerDay = broker.bytesPerDay
  }
}

extension OutboxQuota {
  init(_ outbox: Settings.Outbox) {
    self.init(
      totalBytes: outbox.maximumBytes,
      bytesByClass: [DeliveryClass: Int](
        uniqueKeysWithValues: [(.image, outbox.maximumImageBytes), (.event, outbox.maximumEventBytes)]
          .compactMap { deliveryClass, bytes in bytes.map { (deliveryClass, $0) } }),
      rowsPerClass: outbox.maximumMessages, freeSpaceFloorBytes: outbox.freeSpaceFloorBytes,
      onFull: outbox.onFull == .refuse ? .refuse : .dropOldestImage)
  }
}

extension TopicTemplate {
  /// The template of the configuration; nil for the house's own topics.
  init?(_ topics: Settings.Broker.Topics) {
    switch topics {
    case .house: return nil
    case .azureIoTHub: self = .azureIoTHub
    }
  }
}

extension GateLimits {
  init(_ gates: Settings.Gates) {
    self.init()
    ambientMinimumCelsius = gates.ambientMinimumCelsius
    ambientMaximumCelsius = gates.ambientMaximumCelsius
    ambientDriftMaximumCelsiusPerMinute = gates.ambientDriftMaximumCelsiusPerMinute
    subjectMinimumShare = gates.subjectMinimumShare
    subjectMaximumShare = gates.subjectMaximumShare
    motionMaximumCelsius = gates.motionMaximumCelsius
    deadPixelsMaximum = gates.deadPixelsMaximum
    noiseMaximumCelsius = gates.noiseMaximumCelsius
  }
}

extension SecretReference {
  /// Credentials are files of systemd's with other owner and mode.
  package var isFile: Bool {
    if case .file = self { true } else { false }
  }
}
