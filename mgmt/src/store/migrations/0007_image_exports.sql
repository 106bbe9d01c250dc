-- Where exported images are downloaded from.
ALTER TABLE image ADD COLUMN export_url TEXT;
ALTER TABLE image ADD COLUMN export_md5_sum TEXT;
ALTER TABLE image_backup_storage_ref ADD COLUMN export_url TEXT;
