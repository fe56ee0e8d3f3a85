package apptest

// isRoomyMemory is false: the system has no file system in memory by default.
func isRoomyMemory(string) bool { return false }
