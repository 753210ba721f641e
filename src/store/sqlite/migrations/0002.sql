-- A second identifier of a customer, by which clients may select it as a tenant.
ALTER TABLE customers ADD COLUMN uuid TEXT;
CREATE UNIQUE INDEX customers_by_uuid ON customers (uuid) WHERE uuid IS NOT NULL;
