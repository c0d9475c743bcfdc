"""Work with sockets that is done here instead of in Twisted, where that is faster."""
