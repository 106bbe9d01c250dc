//! Images: the image store on this host and the image cache of its primary storages.
