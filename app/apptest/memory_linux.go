package apptest

import "syscall"

const tmpfsMagic = 0x01021994 // statfs(2)

// isRoomyMemory reports whether dir is a file system in memory, and large enough. Its size is asked, not what is free of
// it: all processes of a run have to come to the same answer.
func isRoomyMemory(dir string) bool {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return false
	}
	size := stat.Blocks * uint64(stat.Bsize)                      //nolint:unconvert // differs between architectures
	return int64(stat.Type) == tmpfsMagic && size >= memoryNeeded //nolint:unconvert // differs between architectures
}
