package host

// WithClientDocument sets what answers for a client's metadata document.
func WithClientDocument(id, document string) Option {
	return func(o *options) {
		if o.documents == nil {
			o.documents = map[string][]byte{}
		}
		o.documents[id] = []byte(document)
	}
}
